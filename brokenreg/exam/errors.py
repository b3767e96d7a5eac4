"""Why a run has no verdicts."""

from __future__ import annotations


class RunError(Exception):
    """The run could not take place; the message is one line."""


class InterruptedRunError(RunError):
    """A signal stopped the run."""


class RunUsageError(RunError):
    """The run was requested incorrectly."""
