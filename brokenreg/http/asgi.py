"""Types and constants of ASGI 3, and our extensions of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, NamedTuple

from brokenreg.http.authority import bracketed, parse_authority

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


EncodedHeaders = tuple[tuple[bytes, bytes], ...]


class ReadyResponse(NamedTuple):
    """A whole response whose body is in memory."""

    status: int
    headers: EncodedHeaders
    body: bytes


Responder = Callable[[Send], Awaitable[None]]
"""Sends a response that is not ready."""

Handled = ReadyResponse | Responder
Handler = Callable[[Scope, Receive], Handled]
"""Handles a request. If no wait is necessary, it returns the response, and no task is needed."""


async def complete(handled: Handled, send: Send) -> None:
    """Send a response, whether or not it is ready."""
    if isinstance(handled, ReadyResponse):
        await send(
            {"type": "http.response.start", "status": handled.status, "headers": list(handled.headers)}
        )
        await send({"type": "http.response.body", "body": handled.body, "more_body": False})
    else:
        await handled(send)


H2 = "2"
"""The `http_version` of HTTP/2 in a scope."""

ZERO_COPY = "http.response.zerocopysend"
"""ASGI's extension and message type for a part of a file, which the wire sends as fast as possible.

The message is `{"type", "file", "offset", "count", "more_body"}`. Code that changes bodies removes the
extension from the scope, in order to get bytes instead.
"""


RAW = "brokenreg.raw"
"""Message type for bytes that are sent unchanged, without HTTP/1.1 framing.

The message is `{"type", "data", "body"}`. `body` is the number of bytes that count as the response's body.
Because the framing is missing, a cut must follow.
"""

CUT = "brokenreg.cut"
"""Message type that cuts a response or its connection: `{"type", "end", "code"}`.

`end` is an `End`. `code` is an HTTP/2 error code (RFC 9113, section 7), if `end` needs one.
"""

INTERNAL_ERROR = 2
"""HTTP/2 error code: an internal error of the endpoint (RFC 9113, section 7)."""

PACE = "brokenreg.pace"
"""Key of `http.response.start` for the seconds between two bytes of the head (HTTP/1.1)."""


class End(StrEnum):
    """How a response is cut. Bytes that were sent before arrive first."""

    FIN = "fin"
    """TCP FIN, without TLS's close_notify."""

    RST = "rst"
    """TCP RST."""

    CLOSE_NOTIFY = "close-notify"
    """TLS close_notify, then FIN. For TLS, this is a regular end."""

    RESET_STREAM = "h2-reset"
    """HTTP/2 RST_STREAM. The connection continues."""

    GOAWAY = "h2-goaway"
    """HTTP/2 GOAWAY, then FIN."""


class ClientDisconnectedError(ConnectionError):
    """The client has disconnected. This ends the work for its response."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of a request header (name in lower case), or None if it is absent."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def all_headers(scope: Scope, name: bytes) -> list[str]:
    """Return all values of a request header (name in lower case)."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


async def respond_plain(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    """Send a whole response with its length."""
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    encoded.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def requested_host(scope: Scope) -> tuple[str, int | None]:
    """Return the host (IPv6 in brackets) and port of the request.

    Without a valid Host header (HTTP/1.0), return the address that the client connected to.
    """
    requested = parse_authority((header(scope, b"host") or b"").decode("latin-1"))
    if requested is not None:
        return requested
    host, port = scope["server"] or ("localhost", None)
    return bracketed(host), port
