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
from typing import Any, TypeVar

from brokenreg.storage.changes import Change, Changes
from brokenreg.storage.database.batch import Job, Reading, Writing, run_batch
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.errors import StorageClosedError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_MAX_BATCH = 256


class Database:
    """Runs functions against the index. Call `open` first and `close` last.

    `apply` applies a change to memory. It is called on the event loop, in the order of commits, before
    `write` returns, even if its caller was cancelled.
    """

    def __init__(self, engine: Engine, apply: Callable[[Change], None]) -> None:
        self._engine = engine
        self._apply = apply
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="brokenreg-index", daemon=True)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False

    async def open(self) -> None:
        """Open the engine. Raise `StorageError`."""
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
        result: _T = await self._done(Reading(work, self._loop.create_future()))
        return result

    async def write(self, work: Callable[[Connection], Changes]) -> Changes:
        """Run `work` in a transaction, and return what it changed, after the commit and `apply`.

        If `work` raises an exception, only its own changes are undone, and the exception is raised here.
        Raise `StorageError` if the database cannot be used, and `StorageFullError` if the disk is full.
        Nothing was written then.
        """
        changes: Changes = await self._done(Writing(work, self._loop.create_future()))
        return changes

    async def _done(self, job: Job) -> Any:
        if self._is_closed:
            raise StorageClosedError
        self._jobs.put(job)
        return await job.future

    def _run(self) -> None:
        try:
            self._engine.open()
        except Exception as error:  # noqa: BLE001 - raised by `open`, which would wait forever otherwise
            self._loop.call_soon_threadsafe(self._end, error)
            return
        try:
            self._loop.call_soon_threadsafe(self._opened.set_result, None)
            self._run_batches()
        finally:
            self._engine.close()
            self._loop.call_soon_threadsafe(self._end)

    def _run_batches(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._next_batch()
            if batch:
                run_batch(self._engine, batch)
                self._loop.call_soon_threadsafe(self._finish, batch, self._engine.committed())

    def _next_batch(self) -> tuple[list[Job], bool]:
        """Wait for a job, and return all waiting jobs and whether the database is closing."""
        batch: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _MAX_BATCH or self._jobs.empty():
                return batch, False
            job = self._jobs.get()
        return batch, True

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

    def _finish(self, batch: list[Job], committed: Sequence[Change]) -> None:
        """Apply the committed changes to memory, then give all jobs their results."""
        errors = {id(change): error for change in committed if (error := self._applied(change)) is not None}
        for job in batch:
            if job.future.done():  # the caller was cancelled
                continue
            error = job.error or (_first(errors, job.changes) if errors else None)
            if error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(error)

    def _applied(self, change: Change) -> Exception | None:
        """Apply a change to memory, and return the error if that fails. Other changes are still applied."""
        try:
            self._apply(change)
        except Exception as error:
            logger.exception("a change was committed but not applied to memory; restart brokenreg to load it")
            return error
        return None


def _first(errors: dict[int, Exception], changes: Changes) -> Exception | None:
    """Return the error of the first of these changes that has one, or None."""
    return next((errors[id(change)] for change in changes if id(change) in errors), None)
