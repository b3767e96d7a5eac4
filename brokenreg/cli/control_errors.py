"""Translates errors of the client for the command line, with its options, commands and exit statuses.

The control API names its fields and routes. The translation uses only the members of the errors.
"""

from __future__ import annotations

import click

from brokenreg.cli.exit_status import CouldNotRunError, TimedOutError
from brokenreg.client import (
    AddressError,
    ControlError,
    MissingError,
    NotControlAPIError,
    ProblemError,
    UnauthorizedError,
    UnreachableError,
    UsageError,
    WaitTimeoutError,
)
from brokenreg.wording import printable

_LISTS = {
    "rule": 'run "brokenreg rules list"',
    "exchange": 'run "brokenreg log"',
    "breakpoint": 'run "brokenreg breakpoints list"',
}
"""For each kind of item that may not exist, the command that lists those that do."""

_FAILED = 500


def explained(error: ControlError) -> click.ClickException:
    """Return an error of the client as one of the command line: one clear line and an exit status."""
    match error:
        case AddressError():
            advice = f": a {error.instead} goes to --{error.instead}" if error.instead else ""
            name = _url() if error.argument == "url" else f"--{error.argument}"
            return click.UsageError(f"{name}: {error.problem}{advice}")
        case WaitTimeoutError():
            return TimedOutError(printable(f"{_unreachable(error)} (no longer waiting)"))
        case UnreachableError():
            return CouldNotRunError(printable(_unreachable(error)))
        case NotControlAPIError():
            return CouldNotRunError(printable(_no_control_api(error)))
        case UnauthorizedError():
            what = "refuses the token" if error.has_token else "requires a token"
            return CouldNotRunError(
                printable(f"the control API at {error.url} {what}: pass its --control-token to --token")
            )
        case ProblemError():
            return _problem(error)
    return CouldNotRunError(printable(str(error)))


def _problem(error: ProblemError) -> click.ClickException:
    said = error.problem or error.detail
    line = f"{_option(error.field)}{said}" if error.field else error.detail
    if isinstance(error, UsageError):
        return click.UsageError(printable(line))
    if error.status == 421:
        return CouldNotRunError(printable(f"{_url()}: {error.detail}"))
    if isinstance(error, MissingError):
        if error.missing in _LISTS:
            line = f"{said}: {_LISTS[error.missing]}"
        elif error.missing is None and error.problem is None and error.field is None:
            another = f"the brokenreg at {error.url} is another version: {error.detail}"
            return CouldNotRunError(printable(another))
    kind = CouldNotRunError if error.status >= _FAILED else click.ClickException
    return kind(printable(line))


def _unreachable(error: UnreachableError) -> str:
    if error.has_no_tls:
        return f"{error}: use {error.url.replace('https:', 'http:', 1)} as {_url()}"
    if error.requires_tls:
        return f"{error}: use {error.url.replace('http:', 'https:', 1)} as {_url()}"
    if error.is_untrusted:
        return f"{error}: pass the file of its CA to --ca"
    return f"no control API responds at {error.url} ({error.reason}): {_start()}"


def _no_control_api(error: NotControlAPIError) -> str:
    if error.is_registry:
        return (
            f"{error.url} is a registry, not a control API: pass the address of the control API to {_url()}, "
            'which "brokenreg serve" prints when it starts'
        )
    return f"{error.url} is not a control API of brokenreg (status {error.status}): {_start()}"


def _url() -> str:
    """Return how the current command is given the URL."""
    params = click.get_current_context().command.params
    return "--url" if any("--url" in each.opts for each in params) else "URL"


def _start() -> str:
    return f'start one with "brokenreg serve", or name another with {_url()}'


def _option(field: str) -> str:
    """Return how the command line spells a field, with a colon: `--endpoint` for `match.endpoint`."""
    name = field.rpartition(".")[2].partition("[")[0]
    option = f"--{name.replace('_', '-')}"
    options = {each for param in click.get_current_context().command.params for each in param.opts}
    first, is_inside, inside = field.partition(".")
    if first.partition("[")[0] == "fault":
        is_parameter = is_inside and inside != "type"
        return f"{option if option in options else name}: " if is_parameter else ""
    return f"{option if option in options else field}: "
