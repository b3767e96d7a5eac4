"""Hashes images: one job for all clients that wait for the same image, and few jobs at a time.

If all its clients disconnect, a running job continues, so that a later request finds the image. It ends early
only if another job waits for its turn. Layers that it has stored by then stay stored. A job that has not
begun ends immediately.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from brokenreg.images.hashing import HashingCancelled
from brokenreg.images.progress import Observer, Progress, Report
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down

RUNNING = 2
"""Jobs at once: each keeps two cores busy."""

WAITING = 8
"""Jobs that may wait for their turn; the next is turned away."""

QUIET = 0.2
"""Seconds before the first progress report to a waiting client: most images are done by then."""

INTERVAL = 0.5
"""Seconds between two progress reports."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(eq=False, slots=True)
class _Job:
    progress: Progress
    task: asyncio.Task[None] = field(init=False)
    waiting: int = 0
    """Number of clients that wait for the job."""


class Jobs(Generic[Key]):
    """At most `RUNNING` jobs at once and `WAITING` behind them."""

    def __init__(self) -> None:
        self._jobs: dict[Key, _Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(RUNNING)
        self._speed: float | None = None
        """Bytes per second of the job that ended last."""
        self._closing = False

    async def run(
        self, key: Key, progress: Progress, work: Callable[[Progress], Awaitable[None]], observer: Observer
    ) -> None:
        """Wait until the job of that key is done, starting it with `work` if necessary.

        `work` gets the progress of the job and raises `HashingCancelled` soon after that is cancelled. Raise
        the job's exception; the next call then starts a new job. Raise `OCIError` 503 UNAVAILABLE, with
        Retry-After, if there are too many jobs or the registry stops.
        """
        job = self._jobs.get(key)
        if job is None:
            self._admit()
            job = self._start(key, progress, work)
        job.waiting += 1
        self._end_abandoned()
        try:
            await self._watch(job, observer)
        finally:
            job.waiting -= 1
            observer.progress(None)
            self._end_abandoned()
        job.task.result()

    async def close(self) -> None:
        """End all jobs, within some milliseconds."""
        self._closing = True
        for job in self._jobs.values():
            job.progress.cancelled.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, key: Key, progress: Progress, work: Callable[[Progress], Awaitable[None]]) -> _Job:
        job = _Job(progress)
        job.task = asyncio.create_task(self._run(job, work), name=f"job {key}")
        self._jobs[key] = job
        self._tasks.add(job.task)

        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._jobs.get(key) is job:
                del self._jobs[key]
            if not task.cancelled():
                task.exception()  # retrieve it, so that asyncio does not log it if no client waits

        job.task.add_done_callback(forget)
        return job

    async def _run(self, job: _Job, work: Callable[[Progress], Awaitable[None]]) -> None:
        async with self._turn:
            if self._closing:
                raise shutting_down()
            try:
                await work(job.progress)
            except HashingCancelled:
                raise shutting_down() from None
            finally:
                if job.progress.is_measured:
                    self._speed = job.progress.speed(self._speed)

    async def _watch(self, job: _Job, observer: Observer) -> None:
        """Wait for a job, and report its progress."""
        report = Report(observer)
        done, _ = await asyncio.wait((job.task,), timeout=QUIET)
        while not done:
            if job.progress.is_running:
                report.running(job.progress, self._speed)
            else:
                report.queued(self._queued(job))
            done, _ = await asyncio.wait((job.task,), timeout=INTERVAL)

    def _queued(self, job: _Job) -> str:
        queued = [each for each in self._jobs.values() if not each.progress.is_running]
        return f"waiting to be fabricated: number {queued.index(job) + 1} in the queue"

    def _admit(self) -> None:
        if self._closing:
            raise shutting_down()
        if len(self._jobs) >= RUNNING + WAITING:
            seconds = self._seconds_until_place()
            message = (
                f"{RUNNING} images are being fabricated and {WAITING} wait; "
                f"the next place in the queue is free in about {seconds} s"
            )
            raise OCIError(503, ErrorCode.UNAVAILABLE, message, headers={"retry-after": str(seconds)})

    def _seconds_until_place(self) -> int:
        """Return seconds until the first running job ends, so that a waiting one can start; at least 1."""
        running = (job.progress for job in self._jobs.values() if job.progress.is_running)
        return max(1, math.ceil(min((each.remaining(self._speed) for each in running), default=1.0)))

    def _end_abandoned(self) -> None:
        """End jobs without clients that have not begun, or that keep another job waiting."""
        abandoned = [(key, job) for key, job in self._jobs.items() if not job.waiting]
        for key, job in abandoned:
            if not job.progress.is_running:
                del self._jobs[key]  # the next request starts a new one
                job.task.cancel()
            elif len(self._jobs) > RUNNING:
                del self._jobs[key]
                job.progress.cancelled.set()
