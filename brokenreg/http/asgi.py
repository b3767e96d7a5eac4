"""The ASGI 3 vocabulary, typed as this project uses it."""

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
"""Sends a response that has to wait for something."""

Handled = ReadyResponse | Responder
Handler = Callable[[Scope, Receive], Handled]
"""Handles a request. If nothing has to be waited for, it returns the response, and no task is needed."""


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
"""ASGI's extension and message type for a part of a file, which the wire sends as fast as it can.

`{"type", "file", "offset", "count", "more_body"}`. Code that changes bodies removes the extension from the
scope, and gets them as bytes.
"""


RAW = "brokenreg.raw"
"""Message type: bytes that are sent unchanged, past the server's HTTP/1.1.

`{"type", "data", "body"}`; `body` is how many of them count as the response's body. They are outside the
server's framing, so a cut must follow.
"""

CUT = "brokenreg.cut"
"""Message type: the end of a response or of its connection, `{"type", "end", "code"}`.

`end` is an `End`; `code` is an HTTP/2 error code (RFC 9113, section 7), where it has one.
"""

INTERNAL_ERROR = 2
"""HTTP/2 error code: an internal error of the endpoint (RFC 9113, section 7)."""

PACE = "brokenreg.pace"
"""Key of `http.response.start`: seconds between two bytes of the head (HTTP/1.1)."""


class End(StrEnum):
    """How a response is cut. All but `RST` come after everything that was sent has arrived."""

    FIN = "fin"
    """The connection ends in the middle: TCP FIN, under TLS without its close_notify."""

    RST = "rst"
    """The connection is reset: TCP RST."""

    CLOSE_NOTIFY = "close-notify"
    """TLS close_notify, then FIN: TLS regards this as a regular end."""

    RESET_STREAM = "h2-reset"
    """HTTP/2 RST_STREAM; the connection continues."""

    GOAWAY = "h2-goaway"
    """HTTP/2 GOAWAY, then FIN."""


class ClientDisconnectedError(ConnectionError):
    """The client has disconnected, so the work for its response ends."""


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
    """Return host (an IPv6 address in brackets) and port of the request.

    If it has no Host header (HTTP/1.0) or a malformed one, they are the address that the client connected to.
    """
    requested = parse_authority((header(scope, b"host") or b"").decode("latin-1"))
    if requested is not None:
        return requested
    host, port = scope["server"] or ("localhost", None)
    return bracketed(host), port
