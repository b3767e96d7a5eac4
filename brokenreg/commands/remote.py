"""A running registry, as the command line speaks to it: through its control API."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

_DEFAULT_URL = "http://127.0.0.1:8081"


class Remote:
    """The control API at `url`, for the rules and exchanges of one namespace."""

    def __init__(self, url: str, token: str | None, namespace: str) -> None:
        import httpx

        headers = {"authorization": f"Bearer {token}"} if token else {}
        params = {"namespace": namespace} if namespace else {}
        self._url = url
        self._http = httpx.Client(base_url=url, headers=headers, params=params, timeout=30, trust_env=False)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer, its text if it is none, None if it is empty.

        Raise `click.ClickException`, one clear line, if there is no good answer.
        """
        import httpx

        try:
            response = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise click.ClickException(
                f"no control API answers at {self._url} ({error}); start one with `brokenreg serve`, "
                "or name another with --url"
            ) from None
        except httpx.InvalidURL as error:
            raise click.UsageError(f"--url {self._url}: {error}; write for instance {_DEFAULT_URL}") from None
        if response.is_error:
            raise click.ClickException(_problem(response))
        if response.headers.get("content-type", "").startswith("application/json"):
            return response.json()
        return response.text or None


def _problem(response: Any) -> str:
    """What an error in the form of RFC 9457 says."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}, and not as a control API does"


_OPTIONS = (
    click.option("--namespace", metavar="NAME", default="", help="The namespace, as in broken/in/NAME/..."),
    click.option(
        "--token",
        envvar="BROKENREG_CONTROL_TOKEN",
        metavar="TOKEN",
        help="Its --control-token, if it has one.",
    ),
    click.option(
        "--url",
        envvar="BROKENREG_URL",
        metavar="URL",
        default=_DEFAULT_URL,
        show_default=True,
        help="The control API of the running registry.",
    ),
)


def remote_options(command: Callable[..., None]) -> Callable[..., None]:
    """--url, --token and --namespace; the command is given a `remote` in their place."""

    @wraps(command)
    def with_remote(url: str, token: str | None, namespace: str, **options: Any) -> None:
        command(remote=Remote(url, token, namespace), **options)

    decorated: Callable[..., None] = with_remote
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated
