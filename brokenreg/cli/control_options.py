"""The options to reach the control API of a running registry, from which a command gets a client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from brokenreg.assembly.process_arguments import hide_arguments
from brokenreg.wording import quoted

_DEFAULT_URL = "http://127.0.0.1:8081"
_LONGEST_TOKEN = 64 * 1024


def serves_at() -> str:
    """Return the address of the control API of a `brokenreg serve` with the same environment."""
    address = os.environ.get("BROKENREG_CONTROL", "")
    return _DEFAULT_URL if address in ("", "off") else address


_NAMESPACE = click.option(
    "--namespace", metavar="NAME", default="", help="Use this namespace, as in broken/in/NAME/IMAGE."
)
_URL = click.option(
    "--url",
    envvar="BROKENREG_URL",
    show_envvar=True,
    metavar="URL",
    default=serves_at,
    show_default=f"$BROKENREG_CONTROL, or {_DEFAULT_URL}",
    help="The control API of the running registry: a URL, or HOST:PORT.",
)
CREDENTIALS = (
    click.option(
        "--ca",
        envvar="BROKENREG_CA",
        show_envvar=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The CA (PEM) to trust for an https URL, instead of those of the system.",
    ),
    click.option(
        "--token-file",
        envvar="BROKENREG_CONTROL_TOKEN_FILE",
        show_envvar=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read the token from FILE.",
    ),
    click.option(
        "--token",
        envvar="BROKENREG_CONTROL_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="The --control-token of the running registry, if it has one.",
    ),
)
"""The options with which a command proves who it is, and finds out who the server is."""

_OPTIONS = (_NAMESPACE, *CREDENTIALS, _URL)


def control_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --url, --token, --token-file, --ca and --namespace.

    The command gets a client, `control`, instead of their values. What the client raises becomes one clear
    line and an exit status.
    """

    @wraps(command)
    def with_client(
        url: str,
        token: str | None,
        token_file: Path | None,
        ca: Path | None,
        namespace: str,
        **options: Any,
    ) -> None:
        check_encoding([url, token, namespace, *options.values()])
        token = token_of(token, token_file)
        from brokenreg.client import Client, ControlError

        try:
            with Client(url, token=token, namespace=namespace, authority=ca) as control:
                command(control=control, **options)
        except ControlError as error:
            from brokenreg.cli.control_errors import explained

            raise explained(error) from None

    decorated: Callable[..., None] = with_client
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated


def token_of(token: str | None, file: Path | None) -> str | None:
    """Return the token, which an option or a file may have. An option given by hand has precedence.

    A token on the command line is hidden in the list of processes.
    """
    hide_arguments([token or ""])
    source = click.get_current_context().get_parameter_source("token_file")
    is_by_hand = source is click.core.ParameterSource.COMMANDLINE
    if file is None or (token is not None and not is_by_hand):
        return token
    try:
        with file.open("rb") as opened:
            found = opened.read(_LONGEST_TOKEN).decode("utf-8", "replace").strip()
    except OSError as error:
        raise click.UsageError(f"--token-file: cannot read {file}: {error.strerror}") from None
    if not found:
        raise click.UsageError(f"--token-file: {file} is empty")
    return found


def check_encoding(values: Iterable[Any]) -> None:
    """Raise `click.UsageError` if one of the values is text that is not UTF-8."""
    for text in _texts(values):
        _check_encoding(text)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from _texts(value)


def _check_encoding(text: str) -> None:
    """Refuse text with surrogates, which result from arguments that are not UTF-8 and are invalid in JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{quoted(text)} is not UTF-8: use UTF-8") from None
