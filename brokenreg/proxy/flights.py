"""One request upstream for all who want the same: it goes on when they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_MOST = 2048
"""Requests under way for which clients may have left: each holds memory and a connection for a while."""


class Flights(Generic[Key, Result]):
    """What is under way, by key. Belongs to one event loop; `close` when done."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[Result]] = {}
        self._is_closed = False

    def is_under_way(self, key: Key) -> bool:
        """Whether joining now would be following."""
        return key in self._tasks

    async def join(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result for that key, by `work` if nobody is at it. Raise what `work` raises.

        Whoever waits may be cancelled, the work goes on. Raise `UpstreamBusyError` if too much is under way,
        `OCIError` 503 once this is closed.
        """
        if self._is_closed:
            raise shutting_down()
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= _MOST:
                raise UpstreamBusyError(f"{_MOST} other requests to upstreams are under way; try again later")
            task = asyncio.create_task(_run(work), name=f"proxy {key}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._is_closed and task.cancelled():  # it was the work, and not whoever waits for it
                raise shutting_down() from None
            raise

    async def close(self) -> None:
        """End what is under way, and start nothing any more."""
        self._is_closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Key, task: asyncio.Task[Result]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more


async def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
