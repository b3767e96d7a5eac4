"""Whether a request may pass, asked of the authentication alone."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.registry.responses import respond
from brokenreg.wire.asgi import ASGIApp, Message, Receive, Scope, Send

_ADMITTED = 204


class Admission:
    """For who gives away in the registry's stead; `authenticated` puts the authentication before an app."""

    def __init__(self, authenticated: Callable[[ASGIApp], ASGIApp]) -> None:
        self._guarded = authenticated(_admitted)

    async def admits(self, scope: Scope) -> bool:
        """Whether the registry would look at the request; nothing is sent, and no body is read."""
        statuses: list[int] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._guarded(scope, _nothing, keep)
        return statuses == [_ADMITTED]


async def _admitted(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await respond(send, _ADMITTED, {})


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
