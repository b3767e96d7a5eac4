"""Signals that end a run. It looks for them while it waits, so that it always cleans up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from brokenreg.exam.errors import InterruptedRunError

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Whether a signal has arrived."""

    def __init__(self) -> None:
        self._arrived = Event()
        self._name = ""

    def wait(self, seconds: float) -> None:
        """Wait. Raise `InterruptedRunError` if a signal has arrived, or arrives meanwhile."""
        if self._arrived.wait(seconds):
            raise InterruptedRunError(f"stopped by {self._name}, without a verdict")

    def arrive(self, number: int, _: FrameType | None) -> None:
        """Note a signal, as its handler."""
        self._name = self._name or signal.Signals(number).name
        self._arrived.set()


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
