"""Downloads continue after their clients have disconnected, for a limited time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache.blobs import BlobCache
from brokenreg.proxy.cache.fill import Fill
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from tests.proxy.asked import asking
from tests.proxy.test_hostile_upstreams import sending

BLOB = b"a" * 200_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"
PIECES = [HEAD + BLOB[:100_000], *[b"a"] * 5, BLOB[100_005:]]
ROUTE, DIGEST = Route("quay.io", "org/app"), Digest.of(BLOB)
SECONDS = 0.1


@asynccontextmanager
async def cached(folder: Path, pieces: list[bytes]) -> AsyncIterator[BlobCache]:
    """Return a cache whose upstream sends these pieces with pauses, and then the last one without end."""
    repeated = itertools.repeat(b"a")
    async with (
        sending(lambda: itertools.chain(pieces, repeated), 0.05) as url,
        asking({"quay.io": url}) as client,
        Store.open(folder / "data") as store,
    ):
        blobs = BlobCache(CacheServices(client, store, 60))
        try:
            yield blobs
        finally:
            await blobs.close()


@asynccontextmanager
async def opened(blobs: BlobCache) -> AsyncIterator[Fill]:
    target = parse_target(f"/v2/org/app/blobs/{DIGEST}", "")
    trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))
    async with blobs.open(ROUTE, DIGEST, trace) as fill:
        assert isinstance(fill, Fill)
        yield fill


async def end(blobs: BlobCache) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*blobs._tasks)
    assert not blobs._fills


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.fill_limits.ABANDONED_SECONDS", SECONDS)


async def test_a_download_with_almost_no_progress_is_abandoned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with cached(tmp_path, [HEAD]) as blobs:
        async with opened(blobs):
            pass
        await end(blobs)
        assert not list((tmp_path / "data" / "uploads").iterdir())
    assert (
        f"blob {DIGEST} was abandoned: its clients disconnected, and it received almost nothing"
        in caplog.text
    )


async def test_a_download_with_clients_continues(tmp_path: Path) -> None:
    async with cached(tmp_path, PIECES) as blobs, opened(blobs) as fill:
        await end(blobs)
        assert fill.is_kept


async def test_a_download_that_is_fast_enough_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.fill_limits.MIN_PROGRESS", 0)
    async with cached(tmp_path, PIECES) as blobs:
        async with opened(blobs) as fill:
            pass
        await end(blobs)
        assert fill.is_kept
