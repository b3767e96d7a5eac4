"""Translates errors of the control API for the command line, with its options and commands.

The API names its fields and routes. The translation uses only the structured members of its problems.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import httpx

_PROBLEM = "application/problem+json"
_LISTS = {
    "rule": 'run "brokenreg rules list"',
    "exchange": 'run "brokenreg log"',
}
"""For each kind of item that may not exist, the command that lists those that do."""

_REGISTRY = "docker-distribution-api-version"
"""The header by which a registry is recognised."""

_START = 'start one with "brokenreg serve", or name another with --url'


def unreachable(url: str, error: httpx.HTTPError) -> str:
    """Return why no control API can be reached at a URL, and what to do."""
    import httpx

    if isinstance(error, httpx.ConnectError) and _is_plain(error):
        return f"the control API at {url} does not use TLS: use http:// in --url"
    if isinstance(error, httpx.TimeoutException):
        return f"no control API responds at {url} (timed out): {_START}"
    return f"no control API responds at {url} ({error}): {_START}"


def _is_plain(error: BaseException | None) -> bool:
    """Return whether an error is that of a TLS handshake with a server without TLS."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
            return True
        error = error.__cause__ or error.__context__
    return False


def described(url: str, response: httpx.Response) -> str:
    """Return a description of an error response of the server at a URL."""
    problem = _problem_in(response)
    if problem is None:
        return _no_control_api(url, response)
    detail, field = str(problem.get("detail")), problem.get("field")
    said = problem.get("problem") or detail
    match response.status_code:
        case 401:
            return _wrong_token(url, response)
        case 421:
            return f"--url: {detail}"
        case 404 if problem.get("missing") in _LISTS:
            return f"{said}: {_LISTS[problem['missing']]}"
        case 404 if problem.get("missing") is None and problem.get("problem") is None and field is None:
            return f"the brokenreg at {url} is another version: {detail}"
    return f"{_option(str(field))}{said}" if field else detail


def _problem_in(response: httpx.Response) -> dict[str, Any] | None:
    """Return the problem document (RFC 9457) in a response, or None."""
    if response.headers.get("content-type", "") != _PROBLEM:
        return None
    try:
        problem = response.json()
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None


def _no_control_api(url: str, response: httpx.Response) -> str:
    if _REGISTRY in response.headers:
        return (
            f"{url} is a registry, not a control API: pass the address of the control API to --url, "
            'which "brokenreg serve" prints when it starts'
        )
    return f"{url} is not a control API of brokenreg (status {response.status_code}): {_START}"


def _wrong_token(url: str, response: httpx.Response) -> str:
    if "authorization" in response.request.headers:
        return f"the control API at {url} refuses the token: pass its --control-token to --token"
    return f"the control API at {url} requires a token: pass its --control-token to --token"


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
