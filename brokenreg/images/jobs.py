"""Runs a limited number of jobs that hash images; all clients that wait for an image share one job.

If all its clients disconnect, a running job continues, so that a later request finds the image. It ends early
only if another job is waiting; the layers that it has stored by then stay stored. A job that has not started
ends immediately.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from brokenreg.concurrency import SingleFlight, background
from brokenreg.images.progress import Observer, Progress, Report
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down
from brokenreg.traffic.timeline_events import FabricationQueued

RUNNING = 2
"""Maximum number of running jobs. Each one keeps two cores busy."""

WAITING = 8
"""Maximum number of waiting jobs. Further ones are refused."""

QUIET = 0.2
"""Seconds before the first progress report to a waiting client. Most images are done by then."""

INTERVAL = 0.5
"""Seconds between two progress reports."""

Key = TypeVar("Key", bound=Hashable)


class Jobs(Generic[Key]):
    """The jobs: at most `RUNNING` that run and `WAITING` that wait."""

    def __init__(self) -> None:
        self._flights: SingleFlight[Key, None] = SingleFlight(shutting_down)
        self._jobs: dict[Key, Progress] = {}
        """Running and waiting jobs, in the order in which they were requested."""
        self._turn = asyncio.Semaphore(RUNNING)
        self._speed: float | None = None
        """Bytes per second of the job that ended last; None before the first."""

    async def run(
        self, key: Key, progress: Progress, work: Callable[[Progress], Awaitable[None]], observer: Observer
    ) -> None:
        """Wait until the job for a key is done; start it with `work` if necessary.

        `work` gets the progress of the job. Raise the job's exception; the next call then starts a new job.
        Raise `OCIError` 503 UNAVAILABLE, with Retry-After, if there are too many jobs or the registry stops.
        """
        try:
            async with background(self._report(key, observer)):
                await self._flights.join(key, partial(self._start, key, progress, work))
        finally:
            observer.progress(None)
            self._end_abandoned()

    async def close(self) -> None:
        """End all jobs within milliseconds."""
        await self._flights.close()

    def _start(
        self, key: Key, progress: Progress, work: Callable[[Progress], Awaitable[None]]
    ) -> Coroutine[Any, Any, None]:
        self._admit()
        self._jobs[key] = progress
        return self._run(key, progress, work)

    async def _run(self, key: Key, progress: Progress, work: Callable[[Progress], Awaitable[None]]) -> None:
        try:
            self._end_abandoned()
            async with self._turn:
                await work(progress)
        finally:
            if progress.is_measured:
                self._speed = progress.speed(self._speed)
            if self._jobs.get(key) is progress:
                del self._jobs[key]

    async def _report(self, key: Key, observer: Observer) -> None:
        """Report the progress of a job regularly until cancelled."""
        report = Report(observer)
        await asyncio.sleep(QUIET)
        while (progress := self._jobs.get(key)) is not None:
            if progress.is_running:
                report.running(progress, self._speed)
            else:
                report.queued(self._queued(key))
            await asyncio.sleep(INTERVAL)

    def _queued(self, key: Key) -> FabricationQueued:
        queued = [each for each, progress in self._jobs.items() if not progress.is_running]
        return FabricationQueued(queued.index(key) + 1)

    def _admit(self) -> None:
        if len(self._jobs) >= RUNNING + WAITING:
            seconds = self._seconds_until_start()
            message = (
                f"{RUNNING} images are being fabricated and {WAITING} are waiting; "
                f"try again in about {seconds} s"
            )
            raise OCIError(503, ErrorCode.UNAVAILABLE, message, headers={"retry-after": str(seconds)})

    def _seconds_until_start(self) -> int:
        """Return the seconds until the first running job ends and a waiting one starts; at least 1."""
        running = (progress for progress in self._jobs.values() if progress.is_running)
        return max(1, math.ceil(min((each.remaining(self._speed) for each in running), default=1.0)))

    def _end_abandoned(self) -> None:
        """End jobs without clients that have not started, or that keep another job waiting."""
        abandoned = [(key, job) for key, job in self._jobs.items() if not self._flights.waiting(key)]
        for key, progress in abandoned:
            if not progress.is_running or len(self._jobs) > RUNNING:
                del self._jobs[key]  # the next request starts a new one
                self._flights.cancel(key)
