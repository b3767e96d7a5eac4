"""The client for the control API of a running registry, and the options to reach it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click

from brokenreg.wording import printable, quoted

_DEFAULT_URL = "http://127.0.0.1:8081"
_PATIENCE = 10
"""Seconds to wait for each part of a response."""


class ControlClient:
    """Sends requests to the control API at `url` (or HOST:PORT), for one namespace."""

    def __init__(self, url: str, token: str | None, namespace: str) -> None:
        """Raise `click.UsageError` with one clear line for an invalid URL or token."""
        import httpx

        self._url = _checked(url)
        headers = {"authorization": f"Bearer {_sendable(token)}"} if token else {}
        params = {"namespace": namespace} if namespace else {}
        self._http = httpx.Client(
            base_url=self._url, headers=headers, params=params, timeout=_PATIENCE, trust_env=False
        )

    def request(self, method: str, path: str, **more: Any) -> Any:
        """Return the body of a response: JSON, text if it is not JSON, None if it is empty.

        Raise `click.UsageError` with one clear line for an invalid request (400), and another
        `click.ClickException` if the request fails.
        """
        import httpx

        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            from brokenreg.cli.control_errors import unreachable

            raise click.ClickException(printable(unreachable(self._url, error))) from None
        if not response.is_error:
            is_json = response.headers.get("content-type", "").startswith("application/json")
            return response.json() if is_json else response.text or None
        from brokenreg.cli.control_errors import described

        problem = printable(described(self._url, response))
        is_usage = response.status_code == httpx.codes.BAD_REQUEST
        raise click.UsageError(problem) if is_usage else click.ClickException(problem)


def _checked(url: str) -> str:
    """Return the URL of a control API, which may be given as HOST:PORT."""
    import httpx

    if url.removeprefix(":").isdigit():
        raise click.UsageError(
            f"--url: invalid URL {quoted(url)}: did you mean 127.0.0.1:{url.removeprefix(':')}?"
        )
    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
        is_good = parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 1) <= 0xFFFF
    except httpx.InvalidURL:
        is_good = False
    if not is_good:
        raise click.UsageError(
            f"--url: invalid URL {quoted(url)}: use HOST:PORT or an http or https URL, such as {_DEFAULT_URL}"
        )
    if parsed.userinfo:
        raise click.UsageError("--url: remove the user and the password: a token goes to --token")
    if parsed.path != "/" or parsed.query or parsed.fragment:
        plain = parsed.copy_with(path="/", query=None, fragment=None)
        raise click.UsageError(f"--url: invalid URL {quoted(url)}: did you mean {str(plain).rstrip('/')}?")
    return str(parsed).rstrip("/")


def _sendable(token: str) -> str:
    """Return a token that is valid in a header. The error does not quote it, because it is a secret."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise click.UsageError("--token: use printable ASCII, without a space or a line end at either end")
    return token


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
    """Add --url, --token and --namespace. The command gets a client, `control`, instead of their values."""

    @wraps(command)
    def with_client(url: str, token: str | None, namespace: str, **options: Any) -> None:
        for text in _texts([url, token, namespace, *options.values()]):
            _check_encoding(text)
        command(control=ControlClient(url, token, namespace), **options)

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
