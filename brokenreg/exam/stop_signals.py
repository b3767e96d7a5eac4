"""Signals that end a run: they cancel its work, which then cleans up."""

from __future__ import annotations

import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from brokenreg.exam.errors import InterruptedRunError

if TYPE_CHECKING:
    import asyncio

Result = TypeVar("Result")

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Whether a signal has arrived. Only the first one counts, so that a second does not disturb the end."""

    def __init__(self) -> None:
        self._name = ""
        self._work: asyncio.Task[Any] | None = None

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run the work in an event loop. Raise `InterruptedRunError` if a signal arrives, or has arrived."""
        import asyncio

        try:
            return asyncio.run(self._cancellable(work))
        except asyncio.CancelledError:
            raise InterruptedRunError(f"stopped by {self._name}, without a verdict") from None

    def arrive(self, number: int, _: FrameType | None) -> None:
        """Note a signal, as its handler."""
        if not self._name:
            self._name = signal.Signals(number).name
            if self._work is not None:
                self._work.get_loop().call_soon_threadsafe(self._work.cancel)

    async def _cancellable(self, work: Coroutine[Any, Any, Result]) -> Result:
        import asyncio

        self._work = task = asyncio.create_task(work)
        if self._name:
            task.cancel()
        try:
            return await task
        finally:
            self._work = None


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Catch the signals that end a run; this needs the main thread."""
    signals = StopSignals()
    caught = [each for each in _NUMBERS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, signals.arrive) for number in caught}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
