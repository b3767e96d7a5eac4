"""Repeats the request of an exchange: sends it again through the listener, or formats a curl command.

Rules and the gate apply to a replay like to any other request. Credentials are never recorded, so both omit
them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from brokenreg.http.authority import parse_authority
from brokenreg.oci.target import Endpoint
from brokenreg.redaction import REDACTED
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.exchange import Exchange, Headers, Origin
from brokenreg.traffic.request_head import REPLAY

if TYPE_CHECKING:
    import httpx

MAX_RESPONSE = 64 * 1024 * 1024
"""Maximum number of bytes of a response that a replay reads before it disconnects."""

_CONNECT = 5.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method or the name of a header (RFC 9110, section 5.6.2)."""

_PATH = "/:@!$&'()*+,;=~-._"
_QUERY = _PATH + "?%"
_HOP_BY_HOP = frozenset(
    {"host", "connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"}
)
"""Headers that belong to the connection (RFC 9110, section 7.6.1), the host and the length."""

_CURL_DEFAULTS = ("accept", "user-agent")
"""Headers that curl sends by default."""


class ReplayError(Exception):
    """The request cannot be repeated, or got no response. The message is one line."""


class NoRequestError(ValueError):
    """The exchange has no request that curl can send. The message says why."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A request to send again. `left_out` has the names of headers that were omitted as secret."""

    request: httpx.Request
    left_out: tuple[str, ...]

    async def send(self) -> int:
        """Send the request, read the response up to `MAX_RESPONSE`, and return its status.

        Raise `ReplayError`.
        """
        import httpx

        size = 0
        async with httpx.AsyncClient(
            verify=False,  # noqa: S501 - the certificate of our own listener may be flawed on purpose
            trust_env=False,
            timeout=httpx.Timeout(None, connect=_CONNECT),
        ) as client:
            try:
                response = await client.send(self.request, stream=True)
                try:
                    async for chunk in response.aiter_raw():
                        size += len(chunk)
                        if size > MAX_RESPONSE:
                            break
                finally:
                    await response.aclose()
            except httpx.HTTPError as error:
                raise ReplayError(str(error) or type(error).__name__) from None
        return response.status_code


def replay_of(exchange: Exchange, listeners: Sequence[str], body: Body | None) -> Replay:
    """Return the request to send to one of `listeners` (URLs), with HTTP/1.1 and without credentials.

    `body` is the request's body, if it was kept. Raise `ReplayError`.
    """
    import httpx

    if exchange.endpoint is Endpoint.CONNECT:
        raise ReplayError("this connection had no request to send again")
    if exchange.origin is Origin.SECOND or _has_secret_url(exchange):
        raise ReplayError("its URL contained a secret, which was not recorded")
    if body is not None and body.is_redacted:
        raise ReplayError("its body contained a secret, which was not recorded")
    if _had_body(exchange) and (body is None or not body.is_whole):
        raise ReplayError("its body was not recorded; only the bodies of manifests are")
    if not _TOKEN.fullmatch(exchange.method):
        raise ReplayError("its method is invalid, so it cannot be sent")
    headers, left_out = _repeatable_headers(exchange)
    others = [(name, value) for name, value in headers if name != REPLAY.decode()]
    listener = _listener(exchange, listeners)
    request = httpx.Request(
        exchange.method,
        listener,
        headers=[
            ("host", exchange.request_header("host") or urlsplit(listener).netloc),
            *others,
            (REPLAY.decode(), str(exchange.id)),
        ],
        content=body.data if body is not None else None,
        extensions={"target": _target_of(exchange).encode("ascii")},  # because httpx normalizes the path
    )
    return Replay(request, left_out)


def _listener(exchange: Exchange, listeners: Sequence[str]) -> str:
    """Return the URL to connect to: the listener with the port of the request's Host, or the first one."""
    port = exchange.request_header("host").rpartition(":")[2]
    found = next((url for url in listeners if url.rpartition(":")[2] == port), listeners[0])
    scheme, _, place = found.partition("://")
    host, _, port = place.rpartition(":")
    return f"{scheme}://{_WILDCARDS.get(host, host)}:{port}"


def curl(exchange: Exchange, base: str, body: Body | None = None) -> str:
    """Return a command for a POSIX shell that repeats the request.

    `base` is the URL for requests without a Host. `body` is the request's body, if it was recorded. Comments
    before the command list what it omits (credentials and other bodies). Raise `NoRequestError`.
    """
    if exchange.endpoint is Endpoint.CONNECT:
        raise NoRequestError("this connection had no request to repeat")
    if not _TOKEN.fullmatch(exchange.method):
        raise NoRequestError("its method is invalid, so curl cannot send it")
    headers, left_out = _repeatable_headers(exchange)
    text = _text_of(body)
    lines = [f"# omitted, because it is secret: {name}" for name in left_out]
    if _has_secret_url(exchange):
        lines.append("# a secret in the URL was replaced by ***")
    if _had_body(exchange) and text is None:
        lines.append("# omitted, because it was not recorded: the body")
    parts = [shlex.join(["curl", "--globoff", "--path-as-is", *_curl_method(exchange.method)])]
    parts += [shlex.join(["--header", each]) for each in _curl_headers(headers, has_body=text is not None)]
    if text is not None:
        parts.append(shlex.join(["--data-raw", text]))
    parts.append(shlex.quote(url_of(exchange, base)))
    return "\n".join([*lines, " \\\n  ".join(parts)]) + "\n"


def _curl_method(method: str) -> list[str]:
    if method == "HEAD":
        return ["--head"]
    return ["--include"] if method == "GET" else ["--include", "--request", method]


def _curl_headers(headers: Headers, *, has_body: bool) -> Iterator[str]:
    names = {name for name, _ in headers}
    for name, value in headers:
        yield f"{name}: {value}" if value.strip() else f"{name};"  # curl's syntax for an empty header
    for name in (*_CURL_DEFAULTS, "content-type") if has_body else _CURL_DEFAULTS:
        if name not in names:
            yield f"{name}:"


def _text_of(body: Body | None) -> str | None:
    """Return a body as the argument of a command, or None if it is missing or cannot be an argument."""
    if body is None or not body.is_whole or b"\0" in body.data:
        return None
    try:
        return body.data.decode()
    except UnicodeDecodeError:
        return None


def url_of(exchange: Exchange, base: str) -> str:
    """Return the URL of the request. `base` (a URL without a path) replaces a missing or invalid Host."""
    host = exchange.request_header("host")
    origin = f"{exchange.scheme}://{host}" if parse_authority(host) is not None else base
    return origin + _target_of(exchange)


def _target_of(exchange: Exchange) -> str:
    """Return the path, percent-encoded again, and the query."""
    path = quote(exchange.path, safe=_PATH, errors="replace")
    if not exchange.query:
        return path
    return f"{path}?{quote(exchange.query, safe=_QUERY, encoding='latin-1', errors='replace')}"


def _repeatable_headers(exchange: Exchange) -> tuple[Headers, tuple[str, ...]]:
    """Return the headers that can be sent again, and the names of those that were secret."""
    kept: list[tuple[str, str]] = []
    secret: list[str] = []
    for name, value in exchange.request_headers:
        if name in _HOP_BY_HOP or not _TOKEN.fullmatch(name) or not _is_printable(value):
            continue
        if REDACTED in value:
            secret.append(name)
        else:
            kept.append((name, value))
    return tuple(kept), tuple(dict.fromkeys(secret))


def _has_secret_url(exchange: Exchange) -> bool:
    """Return whether the path or query contained a secret, which was replaced."""
    return REDACTED in exchange.query or REDACTED in exchange.path


def _had_body(exchange: Exchange) -> bool:
    """Return whether the request had a body, or announced one that was not read."""
    announced = exchange.request_header("content-length") not in ("", "0")
    return bool(exchange.request_bytes) or announced or bool(exchange.request_header("transfer-encoding"))


def _is_printable(value: str) -> bool:
    """Return whether a value is printable ASCII, which all servers interpret in the same way."""
    return all(" " <= character <= "~" or character == "\t" for character in value)
