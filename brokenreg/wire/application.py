"""The application of a listener. It is also an ASGI application, to which Hypercorn passes WebSockets."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.http.asgi import ASGIApp, Receive, Scope, Send
from brokenreg.listening.inbound_connection import AcceptedConnections
from brokenreg.wire.stream import Answer, Stream


@dataclass(frozen=True)
class Application:
    """The application of one listener. `accepted` has the connections of that listener.

    `answer` responds to requests. `websocket` serves WebSockets; without it, they are refused with a 403.
    """

    answer: Answer
    accepted: AcceptedConnections = field(default_factory=AcceptedConnections)
    websocket: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve WebSockets and the lifespan as an ASGI application. Other requests use our own protocols."""
        if scope["type"] == "websocket" and self.websocket is not None:
            await self.websocket(scope, receive, send)
        while scope["type"] == "lifespan":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def served_by(app: ASGIApp) -> Answer:
    """Return an `Answer` with which an ASGI application responds to requests."""
    return lambda stream: _serve(app, stream)


async def _serve(app: ASGIApp, stream: Stream) -> None:
    await app(stream.scope, stream.receive, stream.send)
