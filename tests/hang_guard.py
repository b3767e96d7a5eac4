"""Ends what hangs: for work that takes no time if it is right, and minutes or for ever if it is wrong."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PATIENCE = 60
"""Seconds; on any machine far more than the work takes, and far less than what is wrong would take."""


@contextmanager
def hang_guard() -> Iterator[None]:
    """Fail a block that does not end, also one in `re` or in a system call. Only in the main thread."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it hangs: it has not ended in {_PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
