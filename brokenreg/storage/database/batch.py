"""Runs the jobs of a batch: first those that read, then those that write, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from brokenreg.storage.changes import Changes
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.errors import DatabaseUnreachableError

_T = TypeVar("_T")


@dataclass(slots=True)
class Job:
    """A job that reads, unless it is of a subclass. Afterwards, it has a result or an error."""

    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class WriteJob(Job):
    """A job that writes. Its result is what it has changed."""

    result: Changes


@dataclass(slots=True)
class CatchUpJob(Job):
    """A request to fetch the changes of other processes."""

    is_started: bool = False
    """Changes that are committed from now on may not be fetched."""


def run_readers(engine: Engine, jobs: Sequence[Job], follow: Callable[[], None]) -> None:
    """Run jobs that change nothing. Call `follow` once for all that request it."""
    following = [job for job in jobs if isinstance(job, CatchUpJob)]
    for job in following:
        job.is_started = True
    if following:
        _, error = _attempt(engine, follow)
        for job in following:
            job.error = error
    for each in jobs:
        if not isinstance(each, CatchUpJob):
            each.result, each.error = _attempt(engine, partial(_read, engine, each.work))


def _read(engine: Engine, work: Callable[[Connection], Any]) -> Any:
    return work(engine.connection)


def _attempt(engine: Engine, read: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Return the result or the error of `read`, which is called again if the engine recovers."""
    try:
        try:
            return read(), None
        except Exception as error:
            if not engine.recovers(error):
                raise
            return read(), None
    except Exception as error:  # noqa: BLE001 - passed to the caller that awaits the job
        return None, engine.named(error)


def run_writers(engine: Engine, jobs: Sequence[WriteJob], *, may_retry: bool = True) -> None:
    """Run the jobs in one transaction. If the commit fails, run each in its own: some may succeed."""
    try:
        connection = engine.begin()
        if len(jobs) == 1:  # no savepoint: if it fails, the whole transaction is undone
            jobs[0].result = jobs[0].work(connection)
        else:
            for job in jobs:
                _write(engine, connection, job)
        engine.commit([change for job in jobs if job.error is None for change in job.result])
    except Exception as error:  # noqa: BLE001 - passed to the callers that await the batch
        engine.rollback()
        for job in jobs:
            job.result, job.error = (), None
        if may_retry and engine.recovers(error):
            run_writers(engine, jobs, may_retry=False)
        elif len(jobs) == 1 or isinstance(engine.named(error), DatabaseUnreachableError):
            for job in jobs:
                job.error = engine.named(error)
        else:
            for job in jobs:
                run_writers(engine, [job])


def _write(engine: Engine, connection: Connection, job: WriteJob) -> None:
    """Run one job inside the transaction. If it fails, only its own changes are undone."""
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - passed to the caller that awaits the job
        job.error = engine.named(error)
        connection.execute("ROLLBACK TO SAVEPOINT job")
    connection.execute("RELEASE SAVEPOINT job")


def next_batch(jobs: SimpleQueue[_T | None], most: int) -> tuple[list[_T], bool]:
    """Wait for a job, and return up to `most` waiting jobs and whether None, the end, has come. Blocks."""
    batch: list[_T] = []
    job = jobs.get()
    while job is not None:
        batch.append(job)
        if len(batch) == most or jobs.empty():
            return batch, False
        job = jobs.get()
    return batch, True
