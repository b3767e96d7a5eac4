"""Shares one upstream request among equal requests; it continues for a while after clients disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_MOST = 2048
"""Maximum number of requests under way: each holds memory and a connection, even without clients."""

UNATTENDED = 60.0
"""Seconds that work continues without clients: an upstream could keep it busy for hours."""


@dataclass(slots=True, eq=False)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    waiting: int = 0
    end: asyncio.TimerHandle | None = None
    """The timer that ends it while no client waits for it."""


class SingleFlight(Generic[Key, Result]):
    """What is under way, by key. Belongs to one event loop; `close` when done."""

    def __init__(self) -> None:
        self._flights: dict[Key, _Flight[Result]] = {}
        self._tasks: set[asyncio.Task[Result]] = set()
        self._is_closed = False

    def is_under_way(self, key: Key) -> bool:
        """Whether joining now would be following."""
        return key in self._flights

    async def join(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result for that key, starting `work` if necessary. Raise what `work` raises.

        If the caller is cancelled, the work continues. Raise `UpstreamBusyError` if too much is under way,
        and `OCIError` 503 once this is closed.
        """
        if self._is_closed:
            raise shutting_down()
        flight = self._flights.get(key) or self._start(key, work)
        if flight.end is not None:
            flight.end.cancel()
            flight.end = None
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if self._is_closed and flight.task.cancelled():  # the work was cancelled, not this wait
                raise shutting_down() from None
            raise
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.end = asyncio.get_running_loop().call_later(UNATTENDED, self._end, key)

    async def close(self) -> None:
        """End all work, and refuse new work."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Key, work: Callable[[], Awaitable[Result]]) -> _Flight[Result]:
        if len(self._tasks) >= _MOST:
            raise UpstreamBusyError(f"{_MOST} other requests to upstreams are under way; try again later")
        task = asyncio.create_task(_run(work), name=f"proxy {key}")
        flight = self._flights[key] = _Flight(task)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _end(self, key: Key) -> None:
        """End work without clients. The next request starts it anew."""
        self._flights.pop(key).task.cancel()

    def _forget(self, key: Key, flight: _Flight[Result]) -> None:
        self._tasks.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.end is not None:
            flight.end.cancel()
        if not flight.task.cancelled():
            flight.task.exception()  # retrieve it, so that asyncio does not log it


async def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
