"""A client that found a blob does not push it again, so that it must stay."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx

from tests.registry.pushing import digest_of, push_blob
from tests.server import brokenreg

HOUR = 3600.0
CONTENT = b"linked yesterday"
URL = f"/v2/team/app/blobs/{digest_of(CONTENT)}"


def linked(index: Path) -> float:
    """The time of the link in the database."""
    with closing(sqlite3.connect(index)) as database:
        (when,) = database.execute("SELECT linked FROM links").fetchone()
        return float(when)


async def test_head_of_an_old_blob_is_noted_in_the_database(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as registry:
        index = registry.data / "index.sqlite3"
        async with httpx.AsyncClient(base_url=registry.url) as http:
            await push_blob(http, "team/app", CONTENT)
    with closing(sqlite3.connect(index)) as database, database:
        database.execute("UPDATE links SET linked = linked - ?", (20 * HOUR,))
    assert linked(index) < time.time() - 19 * HOUR
    with brokenreg(tmp_path / "data") as registry:
        async with httpx.AsyncClient(base_url=registry.url) as http:
            assert (await http.head(URL)).status_code == 200
    assert linked(index) > time.time() - HOUR
