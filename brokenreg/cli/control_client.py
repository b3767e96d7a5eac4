"""A running registry, as the command line speaks to it: through its control API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click

from brokenreg.wording import printable

_DEFAULT_URL = "http://127.0.0.1:8081"


class ControlClient:
    """The control API at `url` (or HOST:PORT), for the rules and exchanges of one namespace."""

    def __init__(self, url: str, token: str | None, namespace: str) -> None:
        """Raise `click.UsageError`, one clear line, for what is no URL or no token."""
        import httpx

        self._url = _checked(url)
        headers = {"authorization": f"Bearer {_sendable(token)}"} if token else {}
        params = {"namespace": namespace} if namespace else {}
        self._http = httpx.Client(
            base_url=self._url, headers=headers, params=params, timeout=30, trust_env=False
        )

    def request(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer, its text if it is none, None if it is empty.

        Raise `click.UsageError`, one clear line, for what the API does not take (400), and another
        `click.ClickException` if there is no good answer.
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
    """The URL of a control API that was written as one, or as HOST:PORT."""
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
    """Never says what was given: it is a secret."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise click.UsageError("--token: write printable ASCII, without spaces or line ends around it")
    return token


def _problem(response: Any) -> str:
    """What an error in the form of RFC 9457 says."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}, and not as a control API does"


def _serves_at() -> str:
    """Where `brokenreg serve` has its control API with the same environment."""
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
    """--url, --token and --namespace; the command is given a `control` in their place."""

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
    """What is no text has come here as surrogates, which no JSON and no URL can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"'{printable(text)}' is not UTF-8; write it in UTF-8") from None
