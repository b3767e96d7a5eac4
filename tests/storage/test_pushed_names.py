"""Names that were ever pushed to are remembered after deletion and restarts, up to a limit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from brokenreg.storage import Store
from brokenreg.storage.records import RepositoryKey
from tests.storage.contents import push, put

CACHED = ("@quay.io", "org/app")


async def emptied(store: Store, key: RepositoryKey) -> None:
    """Push an image, and delete all of it."""
    blob = await push(store, b"a blob", key)
    digest = await put(store, blob, key=key)
    await store.index.delete_manifest(key, digest)
    await store.index.unlink_blobs(key, [blob])
    assert store.index.repository(key) is None


async def test_over_restarts_by_namespace(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        await emptied(store, ("", "team/app"))
        await emptied(store, CACHED)
    for _ in range(2):
        async with Store.open(tmp_path / "data") as store:
            assert store.index.was_pushed_to(("", "team/app"))
            assert not store.index.was_pushed_to(("other", "team/app"))
            assert not store.index.was_pushed_to(CACHED)


async def test_names_from_an_older_version_count_as_pushed(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "data") as store:
        blob = await push(store, b"a blob")
        key = ("", "team/app")
        digest = await put(store, blob, key=key)
        await put(store, blob, key=CACHED)
        index = store.folder.index
    connection = sqlite3.connect(index)
    connection.execute("DROP TABLE pushed")
    connection.close()
    async with Store.open(tmp_path / "data") as store:
        await store.index.delete_manifest(key, digest)
        await store.index.delete_manifest(CACHED, digest)
        assert store.index.repository(key) is None
        assert store.index.was_pushed_to(key)
        assert not store.index.was_pushed_to(CACHED)


async def test_only_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.storage.index_memory.MOST_NAMES", 3)
    monkeypatch.setattr("brokenreg.storage.statements.MOST_NAMES", 3)
    keys = [("", f"team/{number}") for number in range(6)]
    async with Store.open(tmp_path / "data") as store:
        for key in keys:
            await emptied(store, key)
        assert [store.index.was_pushed_to(key) for key in keys] == [False] * 3 + [True] * 3
    async with Store.open(tmp_path / "data") as store:
        assert [store.index.was_pushed_to(key) for key in keys] == [False] * 3 + [True] * 3
