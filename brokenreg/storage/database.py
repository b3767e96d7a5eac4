"""Runs jobs on one SQLite connection in one thread, and commits them in batches.

All jobs that wait when the thread is free are run in one transaction, so that a hundred pushes cost a few
fsyncs instead of a hundred. A write is acknowledged (its future resolved) only after its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokenreg.storage.errors import (
    FolderGoneError,
    StorageClosedError,
    StorageError,
    StorageFullError,
    is_no_room,
)
from brokenreg.storage.sql import prepare_schema

logger = logging.getLogger(__name__)

Work = Callable[[sqlite3.Connection], Any]

_MAX_BATCH = 256

_OUR_MISTAKES = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
)
"""SQLite errors that are caused by a mistake in this program."""


@dataclass(slots=True)
class _Job:
    work: Work
    future: asyncio.Future[Any]
    apply: Callable[[Any], None] | None
    result: Any = None
    error: Exception | None = None


class Database:
    """Runs functions against the index. Call `open` first and `close` last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="brokenreg-index", daemon=True)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False

    async def open(self) -> None:
        """Open the file. Raise `StorageError` if it cannot be used, or `NewerIndexError` if it is too new."""
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        """Commit the waiting jobs, then close. From this call on, `run` raises `StorageError`."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.shield(self._ended)

    async def run(self, work: Work, apply: Callable[[Any], None] | None = None) -> Any:
        """Run `work` in a transaction, and return its result after the commit.

        `apply(result)` applies the change to memory. It is called on the event loop in the order of commits,
        even if the caller was cancelled. If `work` raises an exception, only its own changes are undone, and
        the exception is raised here. Raise `StorageError` if the file cannot be used, and `StorageFullError`
        if the disk is full. Nothing was written then.
        """
        if self._is_closed:
            raise StorageClosedError
        job = _Job(work, self._loop.create_future(), apply)
        self._jobs.put(job)
        return await job.future

    def _run(self) -> None:
        try:
            connection = _connect(self._path)
        except Exception as error:  # noqa: BLE001 - raised by `open`, which would wait forever otherwise
            self._loop.call_soon_threadsafe(self._end, error)
            return
        try:
            self._commit_all(connection)
        finally:
            with contextlib.suppress(sqlite3.Error):  # all acknowledged changes are already on disk
                connection.close()
            self._loop.call_soon_threadsafe(self._end)

    def _commit_all(self, connection: sqlite3.Connection) -> None:
        identity = _identity(self._path)
        self._loop.call_soon_threadsafe(self._opened.set_result, None)
        is_last = False
        while not is_last:
            batch, is_last = self._next_batch()
            if batch:
                changes = connection.total_changes
                _commit(connection, batch)
                if connection.total_changes != changes and _identity(self._path) != identity:
                    _refuse(batch, FolderGoneError())
                self._loop.call_soon_threadsafe(_finish, batch)

    def _end(self, error: Exception | None = None) -> None:
        """Refuse new jobs and fail the waiting ones, after the thread has ended."""
        self._is_closed = True
        if error is not None:
            self._opened.set_exception(error)
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None and not job.future.done():
                    job.future.set_exception(StorageClosedError())
        self._ended.set_result(None)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """Wait for a job, and return all waiting jobs and whether the database is closing."""
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _MAX_BATCH or self._jobs.empty():
                return batch, False
            job = self._jobs.get()
        return batch, True


def _connect(path: Path) -> sqlite3.Connection:
    try:
        _make_private(path)
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # Otherwise a change of more than 64 KiB would keep a file in /var/tmp open, to undo it.
            connection.execute("PRAGMA temp_store = MEMORY")
            prepare_schema(connection)
            stack.pop_all()  # keep the connection open
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"cannot use the index {path}: {error}; {advice(_named(error))}") from None
    return connection


def advice(error: Exception) -> str:
    """Return advice for an index that cannot be opened."""
    return "free some disk space" if is_no_room(error) else "to start with a new one, move it away"


def _make_private(path: Path) -> None:
    """Create the file if missing, readable only by its owner. SQLite gives its `-wal` the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).chmod(0o600)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of the file at `path`, or None if it is missing or unreadable."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _commit(connection: sqlite3.Connection, batch: list[_Job]) -> None:
    """Run all jobs in one transaction. If the commit fails, run each job in its own: some may succeed."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            _work(connection, job)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - passed to the callers that await the batch
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        if len(batch) == 1:
            _refuse(batch, _named(error))
        else:
            for job in batch:
                job.error = None
                _commit(connection, [job])


def _refuse(batch: list[_Job], error: Exception) -> None:
    """Fail all jobs of the batch."""
    for job in batch:
        job.error = job.error or error


def _work(connection: sqlite3.Connection, job: _Job) -> None:
    """Run one job inside the batch's transaction. If it fails, only its own changes are undone."""
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - passed to the caller that awaits the job
        job.error = _named(error)
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _named(error: Exception) -> Exception:
    """Return errors of the file as a `StorageError`, and all other errors unchanged."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _OUR_MISTAKES):
        return error
    is_no_room = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    named = (
        StorageFullError("the disk is full: the index cannot grow")
        if is_no_room
        else StorageError(f"the index cannot be used: {error}")
    )
    named.__cause__ = error
    return named


def _finish(batch: list[_Job]) -> None:
    for job in batch:
        if job.error is None and job.apply is not None:
            _apply(job, job.apply)
        if job.future.done():  # the caller was cancelled
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


def _apply(job: _Job, apply: Callable[[Any], None]) -> None:
    """Apply one job to memory. If that fails, the other jobs still get their results."""
    try:
        apply(job.result)
    except Exception as error:
        logger.exception("a change was written to disk but not to memory; restart brokenreg to load it")
        job.error = error
