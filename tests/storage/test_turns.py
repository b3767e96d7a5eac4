"""Long work lets other tasks run: the amount of work between two pauses is counted, not timed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from brokenreg.oci.digests import Digest
from brokenreg.storage import Store
from brokenreg.storage.index_memory import IndexMemory
from brokenreg.storage.records import Repository
from brokenreg.storage.uploads.upload_store import UploadStore
from tests.storage.contents import DAY, KEY, put

CACHED = ("@quay.io", "org/x")


class Counted:
    """Counts the maximum number of calls between two iterations of the event loop."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self._now = 0
        self.most = 0

    def __call__(self, *arguments: Any) -> Any:
        self._now += 1
        self.most = max(self.most, self._now)
        return self._call(*arguments)

    async def _take_turns(self) -> None:
        while True:
            self._now = 0
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._take_turns())
        await asyncio.sleep(0)
        yield
        task.cancel()


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> Counted:
    found = Counted(getattr(owner, name))
    monkeypatch.setattr(owner, name, lambda *arguments: found(*arguments))
    return found


def digests(count: int) -> list[Digest]:
    return [Digest.of(b"%d" % number) for number in range(count)]


async def test_room_is_made_among_many_cached_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store.open(tmp_path / "data", 15_000) as store:
        store.cache._by_use.sizes.update(dict.fromkeys(digests(15_001), 1))
        asked = counted(monkeypatch, IndexMemory, "is_pushed")
        async with asked.watched():
            await store.cache.make_room()
        assert len(store.cache._by_use.sizes) == 15_000
        assert 0 < asked.most < 5000


async def test_many_links_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store.open(tmp_path / "data") as store:
        for key in (KEY, CACHED):
            for digest in digests(1500):
                store.index._add_link(key, digest, 0.0)
        removed = counted(monkeypatch, IndexMemory, "_remove_link")
        link = "INSERT INTO links VALUES (?, ?, ?, 0.0)"
        rows = [(*key, digest) for key in (KEY, CACHED) for digest in digests(1500)]
        await store.index._database.write(lambda connection: connection.executemany(link, rows) and ())
        async with removed.watched():
            await store.collector.collect()
            assert store.index.repositories == {}
        assert 0 < removed.most <= 512


async def test_many_upload_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store.open(tmp_path / "data") as store:
        for _ in range(1500):
            (store.folder.uploads / uuid.uuid4().hex).touch()
        asked = counted(monkeypatch, UploadStore, "is_claimed")
        async with asked.watched():
            await store.collector.collect()
        assert list(store.folder.uploads.iterdir()) == []
        assert 0 < asked.most <= 512


async def test_left_over_manifests_are_found_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread reads a copy, so that changes on the event loop do not affect it."""
    threads: list[threading.Thread] = []
    left_over = Repository.left_over

    def noted(repository: Repository, before: float) -> list[Digest]:
        threads.append(threading.current_thread())
        return left_over(repository, before)

    monkeypatch.setattr(Repository, "left_over", noted)
    async with Store.open(tmp_path / "data") as store:
        tagged = await put(store, key=CACHED)
        await put(store, *digests(1), key=CACHED)
        copy = store.index.repositories[CACHED].copy()
        assert copy == store.index.repositories[CACHED]
        await store.collector.collect(now=time.time() + 2 * DAY)
        assert tagged not in store.index.repositories[CACHED].manifests
        assert tagged in copy.manifests
    assert threads
    assert threading.main_thread() not in threads
