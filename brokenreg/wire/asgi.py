"""The ASGI 3 vocabulary, typed as this project uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


ZERO_COPY = "http.response.zerocopysend"
"""ASGI's extension and message type for a part of a file that goes from kernel to kernel.

`{"type", "file", "offset", "count", "more_body"}`; offered over plain HTTP/1.1 alone. Who spoils bodies takes
the extension out of the scope, and gets them as bytes.
"""


class ClientLeftError(ConnectionError):
    """Nobody reads the response any more; whoever produces it stops."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """First value of a request header (name in lower case); None if absent."""
    return next((value for key, value in scope["headers"] if key == name), None)
