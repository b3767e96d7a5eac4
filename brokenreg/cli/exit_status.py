"""The exit statuses of the command line beside 0, which docs/reference/exit-codes.md explains."""

from __future__ import annotations

from typing import ClassVar

import click

UNEXPECTED = 1
"""The result is not as expected, or the named item does not exist."""

COULD_NOT_RUN = 3
"""The command could not run: a busy port, a file that cannot be read, no server."""

TIMED_OUT = 124
"""The time is up, as timeout(1) has it."""


class CouldNotRunError(click.ClickException):
    """The command could not run."""

    exit_code: ClassVar[int] = COULD_NOT_RUN


class TimedOutError(click.ClickException):
    """The time is up."""

    exit_code: ClassVar[int] = TIMED_OUT
