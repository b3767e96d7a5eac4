"""The ASGI 3 vocabulary, typed as this project uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientLeftError(ConnectionError):
    """Nobody reads the response any more; whoever produces it stops."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """First value of a request header (name in lower case); None if absent."""
    return next((value for key, value in scope["headers"] if key == name), None)
