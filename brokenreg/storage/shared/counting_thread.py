"""A thread with a connection of its own for counts that several processes increase.

Counting must not wait for those who change the index. All jobs that wait run in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from brokenreg.storage.database import Connection, Engine
from brokenreg.storage.database.batch import next_batch
from brokenreg.storage.errors import StorageClosedError

_T = TypeVar("_T")

_MAX_BATCH = 256
_HOUSEKEEPING = 600.0
"""Seconds between two calls of `keep_house`."""


@dataclass(slots=True)
class _Job:
    order: tuple[str, str]
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = field(default=None)
    error: Exception | None = field(default=None)


class CountingThread:
    """Runs jobs in batches. `keep_house` is called in some of their transactions. Call `close` when done."""

    def __init__(self, engine: Engine, keep_house: Callable[[Connection], None]) -> None:
        self._engine = engine
        self._keep_house = keep_house
        self._connection: Connection | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False
        self._next_housekeeping = 0.0
        self._thread = threading.Thread(target=self._run, name="brokenreg-counting", daemon=True)
        self._thread.start()

    async def run(self, order: tuple[str, str], work: Callable[[Connection], _T]) -> _T:
        """Run a job, and return its result. Jobs of a batch run in their `order`. Raise `StorageError`."""
        if self._is_closed:
            raise StorageClosedError
        job = _Job(order, work, self._loop.create_future())
        self._jobs.put(job)
        result: _T = await job.future
        return result

    async def close(self) -> None:
        """Finish what waits, then close the connection."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.shield(self._ended)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = next_batch(self._jobs, _MAX_BATCH)
            if batch:
                self._run_batch(batch)
                self._loop.call_soon_threadsafe(_finish, batch)
        self._disconnect()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _run_batch(self, batch: list[_Job]) -> None:
        """Run all jobs in one transaction, and again if that fails before the commit.

        They are sorted, so that two processes seldom wait for each other. If they do, the database ends one
        of the transactions.
        """
        batch.sort(key=lambda job: job.order)
        for is_last in (False, True):
            is_committing = False
            try:
                connection = self._connected()
                connection.execute("BEGIN")
                for job in batch:
                    job.result = job.work(connection)
                self._keep_house_sometimes(connection)
                is_committing = True
                connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 - passed to the callers that await the jobs
                self._disconnect()
                if is_last or is_committing:
                    for job in batch:
                        job.error = self._engine.named(error)
                    return
            else:
                return

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Close the connection, which undoes what was not committed."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def _keep_house_sometimes(self, connection: Connection) -> None:
        if time.monotonic() >= self._next_housekeeping:
            self._next_housekeeping = time.monotonic() + _HOUSEKEEPING
            self._keep_house(connection)


def _finish(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():  # the caller was cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
