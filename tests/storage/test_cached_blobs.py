"""Cached blobs: the least recently used are removed, but never pushed ones or those in use."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageFullError
from tests.storage.contents import DAY, KEY, age, content_of, push, put, until

QUAY = ("@quay.io", "org/x")
DOCKER = ("@docker.io", "library/x")
LIMIT = 1000


async def fetch(store: Store, content: bytes, key: tuple[str, str] = QUAY) -> Digest:
    """Store a blob as if it came from an upstream."""
    digest = await push(store, content, key)
    store.cache.used(digest, len(content))
    await store.cache.make_room()
    return digest


def here(store: Store, *digests: Digest) -> list[bool]:
    """Return the blobs that are on disk and linked."""
    return [content_of(store, each) is not None and store.index.is_linked(each) for each in digests]


async def test_the_least_recently_used_is_removed(tmp_path: Path) -> None:
    """It is removed from the disk and from all repositories."""
    async with Store.open(tmp_path / "data", LIMIT) as store:
        first, second = [await fetch(store, letter * 400) for letter in (b"a", b"b")]
        await store.link(DOCKER, second)
        store.cache.used(first, 400)
        third = await fetch(store, b"c" * 400)
        assert here(store, first, second, third) == [True, False, True]
        assert store.index.repository(DOCKER) is None
        assert not store.folder.blob(second).exists()
        assert list(store.folder.uploads.iterdir()) == []
        assert await fetch(store, b"b" * 400) == second
        assert here(store, first, second, third) == [False, True, True]


async def test_the_order_survives_a_restart(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        first, second = [await fetch(store, letter * 400) for letter in (b"a", b"b")]
        age(store.folder.blob(first), 200)
        age(store.folder.blob(second), 100)
        store.cache.used(first, 400)
    async with Store.open(tmp_path / "data", LIMIT) as store:
        await fetch(store, b"c" * 400)
        assert here(store, first, second) == [True, False]


@pytest.mark.parametrize("limits", [{"cache_size": 500}, {"max_data": 600}], ids=str)
async def test_lower_limits_count_from_the_start(tmp_path: Path, limits: dict[str, int]) -> None:
    """They apply immediately, and a blob that is too large evicts no others."""
    async with Store.open(tmp_path / "data", 2 * LIMIT) as store:
        pushed = await push(store, b"p" * 100)
        old, new, large = [await fetch(store, content) for content in (b"a" * 400, b"b" * 400, b"l" * 700)]
        for seconds, digest in ((300, old), (200, new), (100, large)):
            age(store.folder.blob(digest), seconds)
    async with Store.open(tmp_path / "data", **limits) as store:
        await until(lambda: here(store, old, large) == [False, False])
        assert here(store, pushed, new) == [True, True]


async def test_a_blob_larger_than_the_cache_evicts_no_others(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        small = await fetch(store, b"small")
        large = await fetch(store, b"l" * (LIMIT + 1))
        assert here(store, small, large) == [True, False]


async def test_a_blob_that_is_too_large_evicts_no_others_while_it_is_read(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        small = await fetch(store, b"small")
        with store.blobs.pin(Digest.of(b"l" * (LIMIT + 1))):
            large = await fetch(store, b"l" * (LIMIT + 1))
            assert here(store, small, large) == [True, True]
        await store.cache.make_room()
        assert here(store, small, large) == [True, False]


async def test_a_cached_blob_counts_after_its_push_is_deleted(tmp_path: Path) -> None:
    """After the push is deleted, the blob is only cached."""
    async with Store.open(tmp_path / "data", LIMIT) as store:
        digest = await push(store, b"a" * 800)
        await store.link(QUAY, digest)
        store.cache.used(digest, 800)
        other = await fetch(store, b"b" * 800)
        assert here(store, digest, other) == [True, True]
        await store.index.unlink_blobs(KEY, [digest])
        await store.cache.make_room()
        assert here(store, digest, other) == [False, True]


@contextlib.asynccontextmanager
async def making_room(store: Store) -> AsyncIterator[Digest]:
    """While one blob makes room for another, and its repositories have not yet been told."""
    leaving = await fetch(store, b"a" * 800)
    staying = await push(store, b"b" * 800, DOCKER)
    store.cache.used(staying, 800)
    task = asyncio.create_task(store.cache.make_room())
    await asyncio.sleep(0)
    yield leaving
    await task
    assert here(store, staying) == [True]
    assert list(store.folder.uploads.iterdir()) == []


async def test_a_blob_that_is_being_read_is_not_removed(tmp_path: Path) -> None:
    """Offline, it could not be fetched again."""
    async with Store.open(tmp_path / "data", LIMIT) as store:
        async with making_room(store) as leaving:
            file = store.blobs.open(leaving)
            if file is not None:
                file.close()
            with store.blobs.pin(leaving):
                await until(lambda: list(store.folder.uploads.iterdir()) == [])
        assert here(store, leaving) == [file is not None]


async def test_a_late_mount_fails(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        async with making_room(store) as leaving:
            mounted = await store.link(KEY, leaving)
        assert here(store, leaving) == [mounted]


async def test_a_blob_that_is_fetched_again_during_its_removal_stays(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        async with making_room(store) as leaving:
            await push(store, b"a" * 800, QUAY)
        assert here(store, leaving) == [True]


async def test_blobs_are_removed_even_if_the_index_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, this makes room. Links to missing blobs have no effect."""

    async def no_room(*_: object, **__: object) -> int:
        raise StorageFullError("the disk is full: the index cannot grow")

    monkeypatch.setattr("brokenreg.storage.index.Index._unlink", no_room)
    async with Store.open(tmp_path / "data", LIMIT) as store:
        first = await fetch(store, b"a" * 800)
        with pytest.raises(StorageFullError):
            await fetch(store, b"b" * 800)
        assert content_of(store, first) is None
        assert list(store.folder.uploads.iterdir()) == []
        monkeypatch.undo()
        assert await fetch(store, b"a" * 800) == first
        assert here(store, first) == [True]


async def test_blobs_of_cached_manifests_are_not_garbage(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data", LIMIT) as store:
        mentioned, unmentioned = [await fetch(store, letter * 400) for letter in (b"a", b"b")]
        await put(store, mentioned, key=QUAY)
        age(store.folder.blob(unmentioned), 3 * DAY)
        await store.collector.collect(now=os.stat(store.folder.blob(mentioned)).st_mtime + 2 * DAY)
        assert here(store, mentioned, unmentioned) == [True, False]
        await fetch(store, b"c" * 500)  # what the collector took is not counted
        assert here(store, mentioned) == [True]
