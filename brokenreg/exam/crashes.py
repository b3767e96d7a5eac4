"""How a client crashed: by a signal, or with the words that a runtime prints then."""

from __future__ import annotations

import re
import signal

from brokenreg.exam.report import RunReport

_PRINTED = (
    (re.compile(r"^(panic: |fatal error: |runtime error: )", re.MULTILINE), "printed a panic of Go"),
    (re.compile(r"^Traceback \(most recent call last\):", re.MULTILINE), "printed a traceback of Python"),
    (re.compile(r"^thread '.*' panicked at ", re.MULTILINE), "printed a panic of Rust"),
    (re.compile(r"^Exception in thread ", re.MULTILINE), "printed an exception of Java"),
    (re.compile(r"^Segmentation fault", re.MULTILINE), "printed a segmentation fault"),
)
_SIGNALS = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}
_SHELL_SIGNALS = 128
"""A shell reports the end by a signal as 128 and its number."""


def crash_of(report: RunReport) -> str:
    """Return how the client of a run crashed; empty if it did not."""
    status = report.exit or 0
    number = -status if status < 0 else status - _SHELL_SIGNALS
    if number in _SIGNALS:
        return f"ended by {signal.Signals(number).name}"
    printed = (words for pattern, words in _PRINTED if pattern.search(report.output))
    return next(printed, "") if status else ""
