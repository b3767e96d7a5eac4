"""The thread of the index: every caller gets a result, and its files are private."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from brokenreg.storage import Store
from brokenreg.storage.changes import Change, Changes, TagDeleted
from brokenreg.storage.database import Connection, Database, SQLite
from brokenreg.storage.errors import FolderGoneError, StorageError

PATIENCE = 5.0


def inserting(name: str) -> Callable[[Connection], Changes]:
    """Return a job that writes a row and reports it as a change."""

    def work(connection: Connection) -> Changes:
        connection.execute("INSERT INTO recipes (key, value) VALUES (?, '')", (name,))
        return (change(name),)

    return work


def memory(apply: Callable[[Change], None] = lambda _: None) -> SimpleNamespace:
    """Return a memory that loads nothing."""
    return SimpleNamespace(load=lambda _: lambda: None, apply=apply)


def change(name: str) -> Change:
    return TagDeleted(("", "app"), name)


@pytest.fixture
def applied() -> list[Change]:
    """The changes that were applied to memory."""
    return []


@pytest.fixture
async def database(tmp_path: Path, applied: list[Change]) -> AsyncIterator[Database]:
    database = Database(SQLite(tmp_path / "index.sqlite3"), memory(applied.append))
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
            await Database(SQLite(tmp_path / "index.sqlite3"), memory()).open()


async def test_an_unexpected_error_is_raised_by_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("brokenreg.storage.database.sqlite.prepare_schema", fail)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="unforeseen"):
            await Database(SQLite(tmp_path / "index.sqlite3"), memory()).open()


async def test_a_failing_apply_does_not_affect_other_jobs(tmp_path: Path) -> None:
    applied: list[Change] = []

    def apply(committed: Change) -> None:
        if committed == change("second"):
            raise KeyError("of one job")
        applied.append(committed)

    database = Database(SQLite(tmp_path / "index.sqlite3"), memory(apply))
    await database.open()
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(
            *(database.write(inserting(name)) for name in ("first", "second", "third")),
            return_exceptions=True,
        )
    assert [results[0], results[2]] == [(change("first"),), (change("third"),)]
    assert isinstance(results[1], KeyError)
    assert applied == [change("first"), change("third")]
    await database.close()


async def test_a_failing_job_does_not_affect_other_jobs(database: Database, applied: list[Change]) -> None:
    """All share a transaction, in which the failing one is undone."""
    async with asyncio.timeout(PATIENCE):
        results = await asyncio.gather(
            *(database.write(inserting(name)) for name in ("first", "first", "third")),
            return_exceptions=True,
        )
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert applied == [change("first"), change("third")]
    rows = await database.read(
        lambda connection: connection.execute("SELECT key FROM recipes ORDER BY key").fetchall()
    )
    assert rows == [("first",), ("third",)]


async def test_a_failing_commit_reaches_all_callers_and_the_thread_continues(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(engine: object) -> None:
        raise MemoryError

    jobs = [inserting(str(number)) for number in range(3)]
    async with asyncio.timeout(PATIENCE):
        with monkeypatch.context() as patched:
            patched.setattr(SQLite, "begin", fail)
            results = await asyncio.gather(*map(database.write, jobs), return_exceptions=True)
        assert [type(result) for result in results] == [MemoryError] * 3
        assert await database.write(jobs[0]) == (change("0"),)


async def test_a_closed_database_accepts_no_jobs(tmp_path: Path) -> None:
    database = Database(SQLite(tmp_path / "index.sqlite3"), memory())
    await database.open()
    async with asyncio.timeout(PATIENCE):
        waiting = asyncio.gather(*(database.write(inserting(str(number))) for number in range(3)))
        await asyncio.sleep(0)  # each has handed over its job
        await asyncio.gather(database.close(), database.close())
        assert await waiting == [(change(str(number)),) for number in range(3)]
        with pytest.raises(StorageError, match="closed"):
            await database.write(inserting("late"))


async def test_writes_to_a_deleted_file_are_not_acknowledged(
    tmp_path: Path, database: Database, applied: list[Change]
) -> None:
    (tmp_path / "index.sqlite3").rename(tmp_path / "away")
    with pytest.raises(FolderGoneError):
        await database.write(inserting("first"))
    (tmp_path / "index.sqlite3").write_bytes(b"")  # another one
    with pytest.raises(FolderGoneError):
        await database.write(inserting("second"))
    assert applied == []


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
    database = Database(SQLite(tmp_path / "index.sqlite3"), memory())
    await database.open()
    may_go_on = threading.Event()
    blocking = asyncio.ensure_future(database.read(lambda _: may_go_on.wait(PATIENCE)))
    changing = asyncio.ensure_future(database.write(inserting("never")))
    reading = asyncio.ensure_future(
        database.read(lambda connection: connection.execute("SELECT count(*) FROM recipes").fetchone()[0])
    )
    await asyncio.sleep(0)
    may_go_on.set()
    assert await blocking
    assert await reading == 0
    with pytest.raises(StorageError):
        await changing
    await database.close()


async def test_a_large_change_opens_no_other_file(database: Database) -> None:
    def create(connection: Connection) -> Changes:
        connection.execute("CREATE TABLE large (content BLOB)")
        connection.executemany("INSERT INTO large VALUES (?)", [(bytes(3000),)] * 100)
        return ()

    def enlarge(connection: Connection) -> Changes:
        connection.execute("UPDATE large SET content = zeroblob(3001)")
        return ()

    await database.write(create)
    await database.write(enlarge)
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [link for link in links if "etilqs" in str(link.readlink())]
