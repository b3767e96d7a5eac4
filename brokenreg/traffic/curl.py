"""An exchange as a command line for curl."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.request_line import had_body, has_secret_url, is_token, repeatable_headers, url_of

_OF_CURL = ("accept", "user-agent")
"""Headers that curl sends unless it is told not to."""


class NoRequestError(ValueError):
    """The exchange has no request that could be made again; the message says why."""


def curl(exchange: Exchange, base: str, body: Body | None = None) -> str:
    """A command for a POSIX shell that asks the same again; `base` is for requests that named no host.

    `body` is that of the request, if it was kept. What cannot be repeated (credentials, other bodies) stands
    in comments before it. Raise `NoRequestError`.
    """
    if exchange.endpoint is Endpoint.CONNECT:
        raise NoRequestError("this connection asked nothing; there is no request to repeat")
    if not is_token(exchange.method):
        raise NoRequestError("its method is none that curl could send")
    headers, left_out = repeatable_headers(exchange)
    text = _text(body)
    lines = [f"# left out, as it was secret: {name}" for name in dict.fromkeys(left_out)]
    if has_secret_url(exchange):
        lines.append("# a secret in the URL was replaced by ***")
    if had_body(exchange) and text is None:
        lines.append("# left out, as it was not kept: the body")
    words = ["curl", "--globoff", "--path-as-is", *_method(exchange)]
    parts = [shlex.join(words)]
    parts += [shlex.join(["--header", header]) for header in _headers(headers, has_body=text is not None)]
    if text is not None:
        parts.append(shlex.join(["--data-raw", text]))
    parts.append(shlex.quote(url_of(exchange, base)))
    return "\n".join([*lines, " \\\n  ".join(parts)]) + "\n"


def _method(exchange: Exchange) -> list[str]:
    if exchange.method == "HEAD":
        return ["--head"]
    return ["--include"] if exchange.method == "GET" else ["--include", "--request", exchange.method]


def _headers(headers: tuple[tuple[str, str], ...], *, has_body: bool) -> Iterator[str]:
    names = {name for name, _ in headers}
    for name, value in headers:
        yield f"{name}: {value}" if value.strip() else f"{name};"  # curl's spelling of an empty one
    for name in (*_OF_CURL, "content-type") if has_body else _OF_CURL:
        if name not in names:
            yield f"{name}:"


def _text(body: Body | None) -> str | None:
    """A body as an argument can have it; None if there is none, or it cannot."""
    if body is None or not body.is_whole or b"\0" in body.data:
        return None
    try:
        return body.data.decode()
    except UnicodeDecodeError:
        return None
