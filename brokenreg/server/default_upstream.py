"""What a listener adds to a request: the upstream that names without a host come from there."""

from __future__ import annotations

from brokenreg.traffic.recorder import DEFAULT_UPSTREAM
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send


class DefaultUpstream:
    """Outermost in the application of one listener; `upstream` is None for that of the settings."""

    def __init__(self, app: ASGIApp, upstream: str | None) -> None:
        self._app = app
        self._upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][DEFAULT_UPSTREAM] = self._upstream
        await self._app(scope, receive, send)
