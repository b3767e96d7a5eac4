"""The number and size of cached manifests are limited, however many tags upstreams and clients create."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.cache.manifests import ManifestCache
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from tests.proxy.asked import asking
from tests.proxy.scripted import Answer, Received, scripted

ROUTE = Route("odd.test", "a/b")


def manifest(received: Received) -> Answer:
    """Return a manifest that no other tag points to."""
    tag = received.target.rpartition("/")[2]
    return Answer(headers={"content-type": "application/json"}, body=b'{"tag": "%b"}' % tag.encode())


@asynccontextmanager
async def upstream() -> AsyncIterator[UpstreamClient]:
    with scripted() as odd:
        odd.answers |= {f"/v2/a/b/manifests/{tag}": manifest for tag in "abcdefgh"}
        async with asking({"odd.test": odd.url}) as client:
            yield client


async def pull(cache: ManifestCache, tags: str) -> None:
    for tag in tags:
        target = parse_target(f"/v2/a/b/manifests/{tag}", "")
        trace = UpstreamTrace(Exchange(1, "GET", "/", "", "1.1", "http", "127.0.0.1:1", target))
        assert (await cache.find(ROUTE, tag, trace)).body == b'{"tag": "%b"}' % tag.encode()


def kept(store: Store) -> tuple[list[str], int]:
    """Return the tags, and the number of manifests."""
    repository = store.index.repositories[ROUTE.key]
    return list(repository.tags.names), len(repository.manifests)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_MANIFESTS", 3), ("MAX_MANIFEST_BYTES", 3 * len('{"tag": "a"}'))]
)
async def test_the_least_recently_requested_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"brokenreg.storage.cached_manifests.{limit}", value)
    async with upstream() as client:
        async with Store.open(tmp_path / "data") as store:
            await pull(ManifestCache(CacheServices(client, store, 60)), "abcad")
            assert kept(store) == (["a", "c", "d"], 3)
        async with Store.open(tmp_path / "data") as store:
            await pull(ManifestCache(CacheServices(client, store, 60)), "ef")
            tags, count = kept(store)
            assert (len(tags), count) == (3, 3)
            assert {"e", "f"} < set(tags)
