"""Who downloads a blob for the others."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.proxy.cache.download import BlobResponse
from brokenreg.proxy.cache.turns import DownloadLostError, DownloadTurn
from brokenreg.storage import Store
from brokenreg.storage.changes import Changes
from brokenreg.storage.database import Connection
from brokenreg.storage.records import RepositoryKey
from brokenreg.storage.shared import leases
from tests.storage.index_pair import index_pair

KEY = ("@example.com", "team/app")
BLOB = Digest.of(b"a blob")
NAME = f"download {KEY[0]} {KEY[1]} {BLOB}"


class Replicas:
    def open(
        self, replica: str, key: RepositoryKey, digest: Digest, offset: int
    ) -> AbstractAsyncContextManager[BlobResponse]:
        return cast("AbstractAsyncContextManager[BlobResponse]", nullcontext())


def take_over(connection: Connection) -> Changes:
    connection.execute("UPDATE leases SET holder = 'cccccccc-1' WHERE name = ?", (NAME,))
    return ()


def holders(connection: Connection) -> list[Any]:
    return connection.execute("SELECT holder FROM leases WHERE name = ?", (NAME,)).fetchall()


async def test_the_lease_of_another_process_than_the_one_that_has_ended_stays(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.02)
    monkeypatch.setattr(leases, "LOST", 10**6)
    async with index_pair(database_url) as (first, second):
        assert await first.leases.take(NAME)
        store = cast("Store", SimpleNamespace(index=second, objects=None))
        turn = DownloadTurn(store, Replicas(), KEY, BLOB)
        seen = asyncio.Event()
        note = turn._note_holder

        def noted(holder: str) -> None:
            note(holder)
            if holder == "cccccccc-1":
                seen.set()

        monkeypatch.setattr(turn, "_note_holder", noted)
        turn.begin(lambda: True)
        sources = turn.sources(lambda: 0)
        await anext(sources)
        await second._database.write(take_over)
        await seen.wait()
        await turn.note_lost(DownloadLostError("the first has ended", has_ended=True))
        assert await second._database.read(holders) == [("cccccccc-1",)]
        await sources.aclose()
        await turn.end()
