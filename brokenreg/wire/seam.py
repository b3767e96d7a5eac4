"""The outermost ASGI application: tells the ones inside which connection and stream they serve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from brokenreg.wire.asgi import ZERO_COPY, ASGIApp, ClientLeftError, Message, Receive, Scope, Send
from brokenreg.wire.connection import CONNECTION, Connections, Wire
from brokenreg.wire.request_body import RequestBody

EXTENSION = "brokenreg.stream"


class Stream:
    """One request's way out: its connection, and on HTTP/2 the stream in it.

    Found in `scope["extensions"][EXTENSION]`.
    """

    __slots__ = ("_http_stream", "connection", "stream_id")

    def __init__(self, connection: Wire, http_stream: Any) -> None:
        self.connection = connection
        self.stream_id: int = http_stream.stream_id
        self._http_stream = http_stream

    @property
    def is_gone(self) -> bool:
        """Whether nobody will read what is sent now."""
        return bool(self._http_stream.closed) or self.connection.gone.is_set()


class Seam:
    """Wraps the application of one listener, whose `connections` it keeps."""

    def __init__(self, app: ASGIApp, on_unused: Callable[[Wire], None] | None = None) -> None:
        self._app = app
        self.connections = Connections(on_unused or (lambda _: None))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # Hypercorn answers 403
            return
        if "://" in scope["path"]:  # absolute form (RFC 9112, section 3.2.2)
            scope["path"] = urlsplit(scope["path"]).path or "/"
        connection = CONNECTION.get()
        connection.requests += 1
        stream = Stream(connection, send.__self__)  # type: ignore[attr-defined]  # a bound method of HTTPStream
        scope["extensions"][EXTENSION] = stream
        if scope["http_version"] == "1.1" and scope["scheme"] == "http":
            scope["extensions"][ZERO_COPY] = {}

        async def send_unless_gone(message: Message) -> None:
            # Hypercorn swallows what is sent to nobody; a generator would run to its end.
            if stream.is_gone:
                raise ClientLeftError
            if message["type"] == "http.response.start":
                await body.discard()
            if message["type"] == ZERO_COPY:
                await connection.send_file(message["file"], message["offset"], message["count"])
            else:
                await send(message)

        body = RequestBody(scope, receive)
        try:
            with contextlib.suppress(ClientLeftError):
                await self._app(scope, body.receive, send_unless_gone)
        finally:
            body.close()


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
