"""Runs the jobs of a batch: first those that read, then those that write, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from brokenreg.storage.changes import Changes
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine


@dataclass(slots=True)
class Reading:
    """A job that changes nothing."""

    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    @property
    def changes(self) -> Changes:
        return ()


@dataclass(slots=True)
class Writing:
    """A job that returns what it has changed."""

    work: Callable[[Connection], Changes]
    future: asyncio.Future[Any]
    changes: Changes = ()
    error: Exception | None = None

    @property
    def result(self) -> Changes:
        return self.changes


Job = Reading | Writing


def run_batch(engine: Engine, batch: list[Job]) -> None:
    """Run all jobs. Each has its result or its error afterwards."""
    for job in batch:
        if isinstance(job, Reading):
            _read(engine, job)
    if writing := [job for job in batch if isinstance(job, Writing)]:
        _commit(engine, writing)


def _read(engine: Engine, job: Reading) -> None:
    try:
        job.result = job.work(engine.connection)
    except Exception as error:  # noqa: BLE001 - passed to the caller that awaits the job
        job.error = engine.named(error)


def _commit(engine: Engine, jobs: list[Writing]) -> None:
    """Run the jobs in one transaction. If the commit fails, run each in its own: some may succeed."""
    try:
        engine.begin()
        if len(jobs) == 1:  # no savepoint: if it fails, the whole transaction is undone
            jobs[0].changes = jobs[0].work(engine.connection)
        else:
            for job in jobs:
                _write(engine, job)
        engine.commit([change for job in jobs for change in job.changes])
    except Exception as error:  # noqa: BLE001 - passed to the callers that await the batch
        engine.rollback()
        if len(jobs) == 1:
            jobs[0].error = engine.named(error)
        else:
            for job in jobs:
                job.changes, job.error = (), None
                _commit(engine, [job])


def _write(engine: Engine, job: Writing) -> None:
    """Run one job inside the transaction. If it fails, only its own changes are undone."""
    engine.connection.execute("SAVEPOINT job")
    try:
        job.changes = job.work(engine.connection)
    except Exception as error:  # noqa: BLE001 - passed to the caller that awaits the job
        job.error = engine.named(error)
        engine.connection.execute("ROLLBACK TO SAVEPOINT job")
    engine.connection.execute("RELEASE SAVEPOINT job")
