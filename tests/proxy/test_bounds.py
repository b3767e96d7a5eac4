"""The proxy's memory for names from clients and upstreams is bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache.freshness import CacheServices, Freshness
from brokenreg.proxy.cache.listings import Listings
from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.proxy.routes import Route
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from brokenreg.traffic.upstream_events import Cache, ListLimit, ListTruncated
from tests.proxy.asked import asking
from tests.proxy.scripted import Answer, scripted

ROUTE = Route("quay.io", "org/app")


def test_the_newest_of_many_tags_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.freshness._MAX_FRESH", 3)
    freshness = Freshness(60)
    for tag in "abcd":
        freshness.confirm(ROUTE, tag)
    freshness.postpone(ROUTE, "b")
    freshness.confirm(ROUTE, "e")
    found = [freshness.state(ROUTE, tag) for tag in "abcde"]
    assert found == [None, Cache.STALE, None, Cache.HIT, Cache.HIT]


async def test_the_number_of_running_requests_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.shared_requests._MAX_RUNNING", 2)
    flights: SharedRequests[int, None] = SharedRequests()

    async def never() -> None:
        await asyncio.Event().wait()

    waiting = [asyncio.create_task(flights.join(number, never)) for number in (1, 1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(UpstreamBusyError):
        await flights.join(3, never)
    await flights.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [OCIError] * 3


async def test_a_request_without_waiting_clients_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an upstream could keep it running for hours."""
    monkeypatch.setattr("brokenreg.proxy.shared_requests.UNATTENDED", 0.02)
    flights: SharedRequests[str, None] = SharedRequests()
    ended: list[str] = []
    one_ended = asyncio.Event()

    async def never(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            one_ended.set()

    first, second, third = (
        asyncio.create_task(flights.join(key, lambda key=key: never(key))) for key in ("a", "b", "b")
    )
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    async with asyncio.timeout(5):
        await one_ended.wait()
    assert ended == ["a"]
    assert not flights.is_under_way("a")
    again = asyncio.create_task(flights.join("a", lambda: never("a again")))
    third.cancel()
    back = asyncio.create_task(flights.join("b", lambda: never("b again")))  # in time
    await asyncio.sleep(0.05)
    assert (ended, again.done(), back.done()) == (["a"], False, False)
    await flights.close()
    assert sorted(ended) == ["a", "a again", "b"]
    await asyncio.gather(again, back, return_exceptions=True)


async def test_lists_of_many_values_count_with_their_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of two bytes takes thirty times as much in memory."""
    monkeypatch.setattr("brokenreg.proxy.cache.listings.MAX_LIST_BYTES", 100_000)
    digest = Digest.of(b"subject")
    target = parse_target(f"/v2/a/b/referrers/{digest}", "")
    trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))
    descriptor = b'{"digest": "%b", "more": [%b]}' % (digest.encode(), b",".join([b"{}"] * 500))
    with scripted() as odd:
        for name in "ab":
            path = f"/v2/a/{name}/referrers/{digest}"
            odd.answers[path] = Answer(body=b'{"manifests": [%b]}' % descriptor)
        async with asking({"odd.test": odd.url}) as client, Store.open(tmp_path / "data") as store:
            listings = Listings(CacheServices(client, store, 60))
            for name in "aaba":
                assert len(await listings.referrers(Route("odd.test", f"a/{name}"), digest, trace)) == 1
    assert [target.split("/")[3] for _, target in odd.asked] == ["a", "b", "a"]


async def test_the_values_of_all_pages_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.listings.MAX_VALUES", 50)
    exchange = Exchange(
        1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", parse_target("/v2/a/b/tags/list", "")
    )
    with scripted() as odd:
        for page in "123":
            body = b'{"tags": ["%b"], "more": [%b]}' % (page.encode(), b",".join([b"0"] * 20))
            odd.answers[f"/v2/a/b/tags/list?page={page}"] = Answer(
                headers={"link": f"<?page={int(page) + 1}>; rel=next"}, body=body
            )
        odd.answers["/v2/a/b/tags/list"] = odd.answers["/v2/a/b/tags/list?page=1"]
        async with asking({"odd.test": odd.url}) as client, Store.open(tmp_path / "data") as store:
            tags = await Listings(CacheServices(client, store, 60)).tags(
                Route("odd.test", "a/b"), UpstreamTrace(exchange)
            )
    assert tags == ["1", "2"]
    assert ListTruncated(ListLimit.VALUES, 2) in [event for event, _ in exchange.timeline]


async def test_only_few_long_lists_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.listings.MAX_LIST_BYTES", 400)
    target = parse_target("/v2/a/b/tags/list", "")
    trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))
    with scripted() as odd:
        for name in "abc":
            odd.answers[f"/v2/a/{name}/tags/list"] = Answer(body=b'{"tags": ["%b"]}' % (b"x" * 30))
        async with asking({"odd.test": odd.url}) as client, Store.open(tmp_path / "data") as store:
            listings = Listings(CacheServices(client, store, 60))
            for name in "abcca":
                assert await listings.tags(Route("odd.test", f"a/{name}"), trace) == ["x" * 30]
    assert [target.split("/")[3] for _, target in odd.asked] == ["a", "b", "c", "a"]
