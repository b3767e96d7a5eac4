"""Two processes with one database request a manifest of an upstream once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache import manifests
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.cache.manifests import ManifestCache
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from tests.proxy.asked import asking
from tests.proxy.scripted import Answer, Scripted, scripted

ROUTE = Route("odd.test", "a/b")
BODY = b'{"tag": "v1"}'
PATH = "/v2/a/b/manifests/v1"


@dataclass
class Process:
    """A process that uses the database."""

    store: Store
    manifests: ManifestCache

    async def pull(self, tag: str = "v1") -> bytes:
        target = parse_target(f"/v2/a/b/manifests/{tag}", "")
        trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))
        return (await self.manifests.find(ROUTE, tag, trace)).body

    def forget(self) -> None:
        """Let the tag be as old as if its time had passed."""
        self.manifests._freshness.forget(ROUTE, "v1")


@pytest.fixture
def upstream() -> Iterator[Scripted]:
    with scripted() as upstream:
        upstream.answers[PATH] = Answer(headers={"content-type": "application/json"}, body=BODY)
        yield upstream


@pytest.fixture
async def processes(
    tmp_path: Path, database_url: str, upstream: Scripted, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Process, Process]]:
    monkeypatch.setattr(manifests, "PATIENCE", 60.0)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(asking({"odd.test": upstream.url}))
        stores = [
            await stack.enter_async_context(Store.open(tmp_path / name, database=database_url))
            for name in "ab"
        ]
        first, second = (Process(each, ManifestCache(CacheServices(client, each, 3600))) for each in stores)
        yield first, second
        for each in (first, second):
            await each.manifests.close()


async def test_clients_of_both_cause_one_request(
    processes: tuple[Process, Process], upstream: Scripted
) -> None:
    found = await asyncio.gather(*(process.pull() for process in processes * 10))
    assert found == [BODY] * 20
    assert upstream.asked == [("GET", PATH)]


async def test_a_tag_that_was_confirmed_is_fresh_for_both(
    processes: tuple[Process, Process], upstream: Scripted
) -> None:
    for process in processes:
        assert await process.pull() == BODY
    upstream.asked.clear()
    upstream.answers[f"HEAD {PATH}"] = Answer(304)
    for process in processes:
        process.forget()
    for process in processes * 2:
        assert await process.pull() == BODY
    assert upstream.asked == [("HEAD", PATH)]


async def test_without_the_tag_both_report_that(processes: tuple[Process, Process]) -> None:
    for process in processes:
        with pytest.raises(OCIError) as caught:
            await process.pull("v2")
        assert caught.value.status == 404


async def test_a_request_that_takes_long_is_not_awaited(
    processes: tuple[Process, Process], upstream: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "PATIENCE", 0.0)
    first, second = processes
    lease = await first.store.index.leases.take("manifest @odd.test a/b v1")
    assert lease is not None
    assert await second.pull() == BODY
    await first.store.index.leases.end(lease)
