"""The options to reach the control API of a running registry, from which a command gets a client."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click

from brokenreg.wording import quoted

_DEFAULT_URL = "http://127.0.0.1:8081"


def _serves_at() -> str:
    """Return the address of the control API of a `brokenreg serve` with the same environment."""
    address = os.environ.get("BROKENREG_CONTROL", "")
    return _DEFAULT_URL if address in ("", "off") else address


_OPTIONS = (
    click.option(
        "--namespace", metavar="NAME", default="", help="Use this namespace, as in broken/in/NAME/IMAGE."
    ),
    click.option(
        "--token",
        envvar="BROKENREG_CONTROL_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="The --control-token of the running registry, if it has one.",
    ),
    click.option(
        "--url",
        envvar="BROKENREG_URL",
        show_envvar=True,
        metavar="URL",
        default=_serves_at,
        show_default=f"$BROKENREG_CONTROL, or {_DEFAULT_URL}",
        help="The control API of the running registry: a URL, or HOST:PORT.",
    ),
)


def control_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --url, --token and --namespace. The command gets a client, `control`, instead of their values.

    What the client raises becomes one clear line and an exit status.
    """

    @wraps(command)
    def with_client(url: str, token: str | None, namespace: str, **options: Any) -> None:
        for text in _texts([url, token, namespace, *options.values()]):
            _check_encoding(text)
        from brokenreg.client import Client, ControlError

        try:
            with Client(url, token=token, namespace=namespace) as control:
                command(control=control, **options)
        except ControlError as error:
            from brokenreg.cli.control_errors import explained

            raise explained(error) from None

    decorated: Callable[..., None] = with_client
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated


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
