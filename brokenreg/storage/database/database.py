"""Runs jobs on one connection in one thread, and commits them in batches.

All jobs that wait when the thread is free are run together, and those that write share one transaction, so
that a hundred pushes cost a few fsyncs instead of a hundred. A write is acknowledged (its future resolved)
only after its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from brokenreg.storage.changes import Change, Changes
from brokenreg.storage.database.batch import CatchUpJob, Job, WriteJob, next_batch, run_readers, run_writers
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.errors import StorageClosedError, StorageError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_MAX_BATCH = 256

_SLICE = 500
"""Maximum number of changes that are applied before other tasks run."""


class Memory(Protocol):
    """What follows the database in memory."""

    def load(self, connection: Connection) -> Callable[[], None]:
        """Read everything, in the thread. The returned function puts it in place, on the event loop."""

    def apply(self, change: Change) -> None:
        """Apply a change, on the event loop. Changes come in the order of their commits."""


class Database:
    """Runs functions against the index, and lets memory follow. Call `open` first and `close` last.

    A change is applied to memory before `write` returns, even if its caller was cancelled.
    """

    def __init__(self, engine: Engine, memory: Memory) -> None:
        self._engine = engine
        self._memory = memory
        self._catching_up: CatchUpJob | None = None
        self._is_woken = False
        self._is_stale = False
        """True if a change could not be applied to memory, which must be loaded again."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="brokenreg-index", daemon=True)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False

    async def open(self) -> None:
        """Open the engine, and load memory. Raise `StorageError`."""
        self._thread.start()
        await self._opened

    async def close(self) -> None:
        """Commit the waiting jobs, then close. From this call on, jobs raise `StorageClosedError`."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.shield(self._ended)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work`, which only reads, and return its result. Raise what it raises, or `StorageError`."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._put(Job(work, future))
        return await future

    async def write(self, work: Callable[[Connection], Changes]) -> Changes:
        """Run `work` in a transaction, and return what it changed, after the commit and `apply`.

        If `work` raises an exception, only its own changes are undone, and the exception is raised here.
        Raise `StorageError` if the database cannot be used, and `StorageFullError` if the disk is full.
        Nothing was written then.
        """
        future: asyncio.Future[Changes] = self._loop.create_future()
        self._put(WriteJob(work, future))
        return await future

    async def catch_up(self) -> None:
        """Wait until memory has all changes that other processes committed before this call.

        Concurrent calls share a query. Raise `StorageError` if the database cannot be reached.
        """
        following = self._catching_up
        if following is None or following.is_started:
            following = self._catching_up = self._following()
            self._put(following)
        await asyncio.shield(following.future)

    def _following(self) -> CatchUpJob:
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(asyncio.Future.exception)  # it may be that no caller waits any more
        return CatchUpJob(lambda _: None, future)

    def _put(self, job: Job) -> None:
        if self._is_closed:
            raise StorageClosedError
        self._jobs.put(job)

    def _wake(self) -> None:
        """Fetch the changes of other processes soon. Any thread may call this."""
        if not self._is_woken:
            self._is_woken = True
            self._jobs.put(self._following())

    def _run(self) -> None:
        try:
            self._engine.open()
            put_in_place = self._loaded()
        except Exception as error:  # noqa: BLE001 - raised by `open`, which would wait forever otherwise
            self._loop.call_soon_threadsafe(self._end, error)
            return
        try:
            self._loop.call_soon_threadsafe(put_in_place)
            self._loop.call_soon_threadsafe(self._opened.set_result, None)
            self._engine.watch(self._wake)
            self._run_batches()
        finally:
            self._engine.close()
            self._loop.call_soon_threadsafe(self._end)

    def _loaded(self) -> Callable[[], None]:
        """Read everything for memory. Raise `StorageError` with advice if that is not possible."""
        try:
            with self._engine.snapshot() as connection:
                return self._memory.load(connection)
        except Exception as error:
            self._engine.close()
            named = self._engine.named(error)
            if isinstance(named, (StorageError, ValueError)):
                raise StorageError(self._engine.unreadable(named)) from None
            raise

    def _run_batches(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = next_batch(self._jobs, _MAX_BATCH)
            writers = [job for job in batch if isinstance(job, WriteJob)]
            readers = (
                [job for job in batch if not isinstance(job, WriteJob)] if len(writers) < len(batch) else []
            )
            if readers:
                self._is_woken = False
                run_readers(self._engine, readers, self._follow)
                self._hand_over(readers)
            if writers:
                run_writers(self._engine, writers)
                if self._engine.is_behind:
                    with contextlib.suppress(Exception):  # the next job that follows reports the error
                        self._follow()
                self._hand_over(writers)

    def _follow(self) -> None:
        """Fetch the changes of other processes, or load everything if there are too many."""
        self._engine.follow()
        if self._engine.is_behind or self._is_stale:
            with self._engine.snapshot() as connection:
                put_in_place = self._memory.load(connection)
            self._loop.call_soon_threadsafe(self._renew, put_in_place)

    def _renew(self, put_in_place: Callable[[], None]) -> None:
        put_in_place()
        self._is_stale = False

    def _hand_over(self, jobs: Sequence[Job]) -> None:
        """Let the event loop apply what was committed, then give the jobs their results."""
        committed = self._engine.committed()
        while len(committed) > _SLICE:
            self._loop.call_soon_threadsafe(self._finish, (), committed[:_SLICE])
            committed = committed[_SLICE:]
        self._loop.call_soon_threadsafe(self._finish, jobs, committed)

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

    def _finish(self, jobs: Sequence[Job], committed: Sequence[Change]) -> None:
        """Apply the committed changes to memory, then give the jobs their results."""
        errors = self._apply(committed)
        for job in jobs:
            if job.future.done():  # the caller was cancelled
                continue
            error = job.error or (_first(errors, job) if errors else None)
            if self._is_stale and isinstance(job, CatchUpJob):
                error = error or StorageError("a change could not be followed; try again")
            if error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(error)

    def _apply(self, committed: Sequence[Change]) -> dict[int, Exception]:
        """Apply changes to memory. Return the errors of those that fail, by the `id` of the change."""
        apply = self._memory.apply
        errors: dict[int, Exception] = {}
        for change in committed:
            try:
                apply(change)
            except Exception as error:
                self._is_stale = True
                logger.exception(
                    "a change was committed but not applied to memory; restart brokenreg to load it, "
                    "unless the database is shared: then it is loaded now"
                )
                errors[id(change)] = error
        return errors


def _first(errors: dict[int, Exception], job: Job) -> Exception | None:
    """Return the error of the first of a job's changes that has one, or None."""
    changes: Changes = job.result if isinstance(job, WriteJob) else ()
    return next((errors[id(change)] for change in changes if id(change) in errors), None)
