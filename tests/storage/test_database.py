"""The thread of the index: every caller gets a result, and its files are private."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from brokenreg.storage import Store
from brokenreg.storage.database import Database
from brokenreg.storage.errors import FolderGoneError, StorageError

PATIENCE = 5.0


def insert(connection: sqlite3.Connection) -> int:
    return connection.execute("INSERT INTO recipes VALUES (hex(randomblob(8)), '')").rowcount


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "index.sqlite3")
    await database.open()
    yield database
    await database.close()


async def test_a_file_whose_mode_cannot_be_set_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(StorageError, match="cannot use the index"):
            await Database(tmp_path / "index.sqlite3").open()


async def test_an_unexpected_error_is_raised_by_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("brokenreg.storage.database.prepare_schema", fail)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="unforeseen"):
            await Database(tmp_path / "index.sqlite3").open()


async def test_a_failing_apply_does_not_affect_other_jobs(database: Database) -> None:
    def fail(_: object) -> None:
        raise KeyError("of one job")

    applied: list[int] = []
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(
            database.run(insert, applied.append),
            database.run(insert, fail),
            database.run(insert, applied.append),
            return_exceptions=True,
        )
    assert [results[0], results[2]] == [1, 1]
    assert isinstance(results[1], KeyError)
    assert applied == [1, 1]


async def test_a_failing_commit_reaches_all_callers_and_the_thread_continues(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection, job: object) -> None:
        raise MemoryError

    async with asyncio.timeout(PATIENCE):
        with monkeypatch.context() as patched:
            patched.setattr("brokenreg.storage.database._work", fail)
            results = await asyncio.gather(*(database.run(insert) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [MemoryError] * 3
        assert await database.run(insert) == 1


async def test_a_closed_database_accepts_no_jobs(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.sqlite3")
    await database.open()
    async with asyncio.timeout(PATIENCE):
        waiting = asyncio.gather(*(database.run(insert) for _ in range(3)))
        await asyncio.sleep(0)  # each has handed over its job
        await asyncio.gather(database.close(), database.close())
        assert await waiting == [1, 1, 1]
        with pytest.raises(StorageError, match="closed"):
            await database.run(insert)


async def test_writes_to_a_deleted_file_are_not_acknowledged(tmp_path: Path, database: Database) -> None:
    (tmp_path / "index.sqlite3").rename(tmp_path / "away")
    applied: list[int] = []
    with pytest.raises(FolderGoneError):
        await database.run(insert, applied.append)
    assert applied == []
    (tmp_path / "index.sqlite3").write_bytes(b"")  # another one
    with pytest.raises(FolderGoneError):
        await database.run(insert, applied.append)


async def test_all_files_of_the_data_folder_are_private(tmp_path: Path) -> None:
    """So are files of earlier versions, with any umask."""
    data = tmp_path / "data"
    before = os.umask(0)
    try:
        async with Store.open(data):
            pass
        (data / "index.sqlite3").chmod(0o644)
        async with Store.open(data) as store:
            await store.uploads.start(("", "a"), "sha256")
            found = {path.name: path.stat().st_mode & 0o777 for path in data.rglob("*") if path.is_file()}
    finally:
        os.umask(before)
    assert {"index.sqlite3", "index.sqlite3-wal", "lock"} < set(found)
    assert set(found.values()) == {0o600}


class FullDisk(sqlite3.Connection):
    """A connection on which commits of changes fail, as on a full disk."""

    changes_before = 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            self.changes_before = self.total_changes
        if sql == "COMMIT" and self.total_changes != self.changes_before:
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *parameters)


async def test_reads_do_not_fail_with_a_change_on_a_full_disk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait at the same time and share a transaction."""
    await database.close()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=FullDisk))
    database = Database(tmp_path / "index.sqlite3")
    await database.open()
    may_go_on = threading.Event()
    blocking = asyncio.ensure_future(database.run(lambda _: may_go_on.wait(PATIENCE)))
    changing = asyncio.ensure_future(database.run(insert))
    reading = asyncio.ensure_future(
        database.run(lambda connection: connection.execute("SELECT count(*) FROM recipes").fetchone()[0])
    )
    await asyncio.sleep(0)
    may_go_on.set()
    assert await blocking
    assert await reading == 0
    with pytest.raises(StorageError):
        await changing
    await database.close()


async def test_a_large_change_opens_no_other_file(database: Database) -> None:
    def create(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE large (content BLOB)")
        connection.executemany("INSERT INTO large VALUES (?)", [(bytes(3000),)] * 100)

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE large SET content = zeroblob(3001)")

    await database.run(create)
    await database.run(change)
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [link for link in links if "etilqs" in str(link.readlink())]
