"""The client of a running registry's control API, and the options that say where it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click

from brokenreg.wording import printable

_DEFAULT_URL = "http://127.0.0.1:8081"


class ControlClient:
    """Sends requests to the control API at `url` (or HOST:PORT), for one namespace."""

    def __init__(self, url: str, token: str | None, namespace: str) -> None:
        """Raise `click.UsageError`, one clear line, for an invalid URL or token."""
        import httpx

        self._url = _checked(url)
        headers = {"authorization": f"Bearer {_sendable(token)}"} if token else {}
        params = {"namespace": namespace} if namespace else {}
        self._http = httpx.Client(
            base_url=self._url, headers=headers, params=params, timeout=30, trust_env=False
        )

    def request(self, method: str, path: str, **more: Any) -> Any:
        """Return the JSON of a response, its text if it is not JSON, None if it is empty.

        Raise `click.UsageError`, one clear line, for an invalid request (400), and another
        `click.ClickException` if the request fails.
        """
        import httpx

        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise click.ClickException(
                f"no control API answers at {self._url} ({error}); start one with `brokenreg serve`, "
                "or name another with --url"
            ) from None
        if response.is_error:
            is_usage = response.status_code == httpx.codes.BAD_REQUEST
            problem = printable(_problem(response))
            raise click.UsageError(problem) if is_usage else click.ClickException(problem)
        if response.headers.get("content-type", "").startswith("application/json"):
            return response.json()
        return response.text or None


def _checked(url: str) -> str:
    """Return the URL of a control API, which may be written as HOST:PORT."""
    import httpx

    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
        is_good = parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 1) <= 0xFFFF
    except httpx.InvalidURL:
        is_good = False
    if not is_good:
        raise click.UsageError(
            f"--url {printable(url)}: is neither HOST:PORT nor an http or https URL; "
            f"write for instance 127.0.0.1:8081 or {_DEFAULT_URL}"
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise click.UsageError("--url: write scheme, host and port alone; a token goes to --token")
    return str(parsed)


def _sendable(token: str) -> str:
    """Return a token that a header can carry. The error does not quote it: it is a secret."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise click.UsageError("--token: write printable ASCII, without spaces or line ends around it")
    return token


def _problem(response: Any) -> str:
    """Return the detail of an error response (RFC 9457)."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}, and not as a control API does"


def _serves_at() -> str:
    """Return where `brokenreg serve` has its control API in the same environment."""
    address = os.environ.get("BROKENREG_CONTROL", "")
    return _DEFAULT_URL if address in ("", "off") else address


_OPTIONS = (
    click.option("--namespace", metavar="NAME", default="", help="The namespace, as in broken/in/NAME/..."),
    click.option(
        "--token",
        envvar="BROKENREG_CONTROL_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="Its --control-token, if it has one.",
    ),
    click.option(
        "--url",
        envvar="BROKENREG_URL",
        show_envvar=True,
        metavar="URL",
        default=_serves_at,
        show_default=f"$BROKENREG_CONTROL, else {_DEFAULT_URL}",
        help="The control API of the running registry, also as HOST:PORT.",
    ),
)


def control_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --url, --token and --namespace; the command gets `control`, a client, in their place."""

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
    """Refuse text with surrogates: arguments that are not UTF-8 have them, and JSON cannot carry them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"'{printable(text)}' is not UTF-8; write it in UTF-8") from None
