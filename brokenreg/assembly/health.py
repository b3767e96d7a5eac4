"""`/healthz` for probes: never faulted, recorded or authenticated, so it stands outside everything."""

from __future__ import annotations

from brokenreg.registry.responses import respond
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send

PATH = "/healthz"


class Health:
    """Answers `/healthz`, and hands on everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PATH:
            await respond(send, 200, {"content-type": "text/plain", "cache-control": "no-store"}, b"ok\n")
        else:
            await self._app(scope, receive, send)
