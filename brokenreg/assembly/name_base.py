"""What a listener adds to a request: against what its names are resolved."""

from __future__ import annotations

from brokenreg.oci.resolution import Base
from brokenreg.traffic.recorder import BASE
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send


class NameBase:
    """Outermost in the application of one listener."""

    def __init__(self, app: ASGIApp, base: Base) -> None:
        self._app = app
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][BASE] = self._base
        await self._app(scope, receive, send)
