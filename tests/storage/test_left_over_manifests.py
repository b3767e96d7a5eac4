"""Cached manifests without a tag are removed, except those that are requested or can be pulled offline."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import OCI_INDEX, manifest_facts
from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.cache.manifests import ManifestCache
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.storage.records import Manifest
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from tests.storage.contents import DAY, KEY, content_of, manifest_of
from tests.storage.test_cached_blobs import QUAY, fetch

LIMIT = 1000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        yield store


async def keep(store: Store, *named: Digest, tag: str | None = None, subject: Digest | None = None) -> Digest:
    """Store a manifest as if it came from an upstream."""
    document = {"layers": [{"digest": digest} for digest in named], "subject": {"digest": subject}}
    body = json.dumps(document).encode()
    manifest = Manifest(Digest.of(body), OCI_INDEX, len(body), manifest_facts(body))
    await store.index.put_manifest(QUAY, manifest, body, [tag] if tag else [])
    return manifest.digest


async def kept(store: Store, later: float = DAY + 60) -> set[Digest]:
    """Return the manifests that are left after `later` seconds."""
    await store.collector.collect(now=time.time() + later)
    repository = store.index.repository(QUAY)
    left = set(repository.manifests) if repository else set()
    for digest in left:
        assert await store.index.manifest_body(digest) is not None
    return left


async def test_a_tag_moves_on(store: Store) -> None:
    base = await fetch(store, b"base")
    old = await keep(store, Digest.of(b"never fetched"), base, tag="latest")
    new = await keep(store, Digest.of(b"nor this"), base, tag="latest")
    assert await kept(store, DAY - 60) == {old, new}
    assert await kept(store) == {new}
    assert content_of(store, base) is not None


async def test_a_manifest_stays_as_long_as_its_blobs(store: Store) -> None:
    old, other = await fetch(store, b"o" * 600), await fetch(store, b"b" * 300)
    moved = await keep(store, old, other, tag="latest")
    by_digest = await keep(store, other)
    new = await keep(store, Digest.of(b"new"), tag="latest")
    assert await kept(store, 1000 * DAY) == {moved, by_digest, new}
    await fetch(store, b"n" * 600)  # lets go of the old one
    assert await kept(store) == {moved, by_digest, new}
    await fetch(store, b"m" * 900)
    assert await kept(store) == {new}


async def test_an_index_is_removed_with_its_images(store: Store) -> None:
    blob = await fetch(store, b"blob")
    image, other = await keep(store, blob), await keep(store, Digest.of(b"never fetched"))
    index = await keep(store, image, other)
    assert await kept(store) == {index, image}
    await store.index.unlink_cached([blob])
    assert await kept(store) == set()


async def test_tagged_content_stays(store: Store) -> None:
    """This includes images of an index, and their referrers."""
    image = await keep(store, Digest.of(b"never fetched"))
    signature = await keep(store, subject=image)
    index = await keep(store, image, tag="latest")
    assert await kept(store, 1000 * DAY) == {image, signature, index}
    await store.index.delete_tag(QUAY, "latest")
    assert await kept(store) == set()


async def test_requested_manifests_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By clients of the proxy, which is offline here."""
    old = await keep(store, Digest.of(b"never fetched"))
    path = f"/v2/quay.io/org/x/manifests/{old}"
    target = parse_target(path, "")
    trace = UpstreamTrace(Exchange(1, "GET", path, "", "1.1", "http", "127.0.0.1:1", target))
    now = time.time()
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: now + 10 * DAY)
        found = await ManifestCache(CacheServices(None, store, 60)).find(
            Route("quay.io", "org/x"), old, trace
        )
    assert found.manifest.digest == old
    assert await kept(store, 10 * DAY + 60) == {old}
    assert await kept(store, 11 * DAY + 60) == set()


async def test_pushed_manifests_stay(store: Store) -> None:
    manifest, body = manifest_of(Digest.of(b"missing"))
    await store.index.put_manifest(KEY, manifest, body, [])
    await kept(store, 1000 * DAY)
    assert set(store.index.repositories[KEY].manifests) == {manifest.digest}


async def test_a_manifest_that_is_fetched_again_during_a_collection_stays(store: Store) -> None:
    """The index is kept busy, so that the change is still queued when the collector runs."""
    old = await keep(store, Digest.of(b"never fetched"))
    busy = threading.Event()
    blocked = asyncio.create_task(store.index._database.read(lambda _: busy.wait(5)))
    await asyncio.sleep(0)
    collecting_from = time.time() + DAY
    again = asyncio.create_task(keep(store, Digest.of(b"never fetched"), tag="again"))
    await asyncio.sleep(0)
    collecting = asyncio.create_task(store.collector.collect(now=collecting_from))
    await asyncio.wait(
        [collecting], timeout=0.2
    )  # it has judged the manifest by now, and waits for the index
    busy.set()
    await asyncio.gather(blocked, again, collecting)
    assert store.index.repositories[QUAY].tags == {"again": old}
    assert old in store.index.repositories[QUAY].manifests
