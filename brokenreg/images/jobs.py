"""Work that several wait for: one task per key, few at once, outliving those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down

RUNNING = 2
"""Jobs at once: each keeps two cores busy."""

WAITING = 8
"""Jobs that may wait for their turn; the next is turned away."""

_RETRY_AFTER = {"retry-after": "5"}


Key = TypeVar("Key", bound=Hashable)


class Jobs(Generic[Key]):
    """At most `RUNNING` jobs at once and `WAITING` behind them."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(RUNNING)
        self._closing = False

    async def run(self, key: Key, work: Callable[[], Awaitable[None]]) -> None:
        """Wait until the job of that key is done; start it with `work` if nobody has.

        Whoever waits may be cancelled, the job goes on. Raise what the job raised; it is forgotten then, and
        the next call starts anew. Raise `OCIError` 503 UNAVAILABLE, with Retry-After, if there are too many
        jobs or the end has come.
        """
        task = self._tasks.get(key)
        if task is None:
            self._admit()
            task = asyncio.create_task(self._run(work), name=f"job {key}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        await asyncio.shield(task)

    async def close(self) -> None:
        """Let no new job begin, and wait for those that run; whoever closes has told them to end."""
        self._closing = True
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._turn:
            if self._closing:
                raise shutting_down()
            await work()

    def _admit(self) -> None:
        if self._closing:
            raise shutting_down()
        if len(self._tasks) >= RUNNING + WAITING:
            message = f"{RUNNING} images are being made and {WAITING} wait for their turn; try again later"
            raise OCIError(503, ErrorCode.UNAVAILABLE, message, headers=_RETRY_AFTER)

    def _forget(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more
