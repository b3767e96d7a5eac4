"""Concurrency tools that several layers need: tasks, threads, and sharing the event loop.

- One caller at a time: `first_of`, `shielded`, `background`, `cancel`.
- Many callers: `SingleFlight` runs the same work once for all of them.
- Threads: `ThreadPool` for one kind of blocking work, `in_own_thread` for work that cannot be stopped.
- Long work: `paced` on the event loop, `paced_thread` in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")
Item = TypeVar("Item")
Parameters = ParamSpec("Parameters")

_TURN = 0.005
"""Seconds of work on the event loop before other tasks may run."""

_THREAD_TURN = 0.002
"""Seconds of Python code in a thread before it pauses. Otherwise, the event loop would wait up to 5 ms."""

_THREAD_PAUSE = 0.0002


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and return once they have ended, even if the caller is cancelled in the meantime.

    Results are dropped. If a task fails instead, asyncio logs its exception.
    """
    for task in tasks:
        task.cancel()
    await _until_ended(tasks)


async def first_of(*work: Awaitable[Result]) -> Result:
    """Return the result of whatever ends first, or raise its exception. Cancel the rest and wait for it.

    If several have ended, the first argument among them counts.
    """
    running = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return next(each for each in running if each.done()).result()
    finally:
        await cancel(*running)


async def shielded(work: Awaitable[Result], stop: Callable[[], None] | None = None) -> Result:
    """Wait until `work` has ended, even if the caller is cancelled. Raise the cancellation afterwards.

    `stop` is called when the caller is cancelled, to end the work early.
    """
    running = asyncio.ensure_future(work)
    try:
        await _until_ended((running,), stop)
    except asyncio.CancelledError:
        if not running.cancelled():
            running.exception()  # retrieve the exception, so that asyncio does not log it
        raise
    return running.result()


@contextlib.asynccontextmanager
async def background(*work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run tasks during the block. Leaving the block cancels them and waits until they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await cancel(*tasks)


async def _until_ended(tasks: Sequence[asyncio.Future[Any]], stop: Callable[[], None] | None = None) -> None:
    """Wait until tasks have ended, even if the caller is cancelled. Raise the cancellation afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            if cancelled is None and stop is not None:
                stop()
            cancelled = error
    if cancelled is not None:
        raise cancelled


@dataclass(slots=True, eq=False)
class _Flight(Generic[Result]):
    task: asyncio.Future[Result]
    waiting: int = 0
    """The number of callers that wait for the result."""
    end: asyncio.TimerHandle | None = None
    """The timer that ends the work if no caller waits."""


class SingleFlight(Generic[Key, Result]):
    """Runs work once for all callers that want the same key at the same time.

    If its callers are cancelled, the work continues for `linger` seconds without a caller, or until its end
    if `linger` is None. If the work is ended by `cancel` or `close`, its callers get the exception `ended()`.
    An instance belongs to one event loop; `close` it when done.
    """

    def __init__(self, ended: Callable[[], Exception], linger: float | None = None) -> None:
        self._ended = ended
        self._linger = linger
        self._flights: dict[Key, _Flight[Result]] = {}
        self._tasks: set[asyncio.Future[Result]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        """Return the number of keys with work in progress, with or without callers."""
        return len(self._tasks)

    def is_under_way(self, key: Key) -> bool:
        """Return whether work for that key is in progress, so that `join` would wait for it."""
        return key in self._flights

    def waiting(self, key: Key) -> int:
        """Return how many callers wait for that key."""
        flight = self._flights.get(key)
        return 0 if flight is None else flight.waiting

    async def join(self, key: Key, start: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result for a key, or raise its exception. `start` the work unless it is in progress.

        If `start` itself raises an exception, it is raised here, and no work is in progress.
        """
        if self._is_closed:
            raise self._ended()
        flight = self._flights.get(key) or self._start(key, start)
        flight.waiting += 1
        if flight.end is not None:
            flight.end.cancel()
            flight.end = None
        try:
            await asyncio.wait((flight.task,))
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done() and self._linger is not None:
                loop = asyncio.get_running_loop()
                flight.end = loop.call_later(self._linger, self._end, key, flight)
        if flight.task.cancelled():
            raise self._ended()
        return flight.task.result()

    def cancel(self, key: Key) -> None:
        """End the work for a key. The next caller starts it again."""
        flight = self._flights.get(key)
        if flight is not None:
            self._end(key, flight)

    async def close(self) -> None:
        """End all work, and refuse new work."""
        self._is_closed = True
        await cancel(*self._tasks)

    def _start(self, key: Key, start: Callable[[], Awaitable[Result]]) -> _Flight[Result]:
        task = asyncio.ensure_future(start())
        flight = self._flights[key] = _Flight(task)
        self._tasks.add(task)
        task.add_done_callback(partial(self._landed, key, flight))
        return flight

    def _end(self, key: Key, flight: _Flight[Result]) -> None:
        self._forget(key, flight)
        flight.task.cancel()

    def _forget(self, key: Key, flight: _Flight[Result]) -> None:
        """Let the next caller start the work again."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.end is not None:
            flight.end.cancel()

    def _landed(self, key: Key, flight: _Flight[Result], task: asyncio.Future[Result]) -> None:
        self._tasks.discard(task)
        self._forget(key, flight)
        if not task.cancelled():
            task.exception()  # retrieve the exception, so that asyncio does not log it if no caller waits


class ThreadPool(ThreadPoolExecutor):
    """Threads for one kind of blocking work, so that it does not have to wait for other kinds."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(size, thread_name_prefix=f"brokenreg-{name}")

    def run(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> asyncio.Future[Result]:
        """Run `work` in a thread. If the future is cancelled, work that has already started continues."""
        return asyncio.get_running_loop().run_in_executor(self, partial(work, *args, **kwargs))


def in_own_thread(work: Callable[[], Result], name: str) -> asyncio.Future[Result]:
    """Run `work` in a new daemon thread, which delays neither other work nor the end of the process.

    If the future is cancelled, the thread continues.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(set_outcome: Callable[[], None]) -> None:
        if not future.cancelled():
            set_outcome()

    def run() -> None:
        try:
            outcome = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - passed to the caller, which would otherwise wait forever
            outcome = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # raised if the loop is closed
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


async def paced(items: Iterable[Item], check_every: int = 1) -> AsyncIterator[Item]:
    """Yield items, and let other tasks run every few milliseconds.

    The time that the caller spends on items is included. The clock is read after every `check_every` items.
    """
    until = time.perf_counter() + _TURN
    for number, item in enumerate(items):
        yield item
        if number % check_every == 0 and time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _TURN


def paced_thread(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items in a thread, and pause every few milliseconds, so that the event loop can run."""
    until = time.perf_counter() + _THREAD_TURN
    for item in items:
        yield item
        if time.perf_counter() > until:
            time.sleep(_THREAD_PAUSE)
            until = time.perf_counter() + _THREAD_TURN
