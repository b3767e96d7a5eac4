"""The outermost ASGI middleware: it tells the application which connection and stream a request came by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from hypercorn.protocol.events import Event, StreamClosed

from brokenreg.concurrency import first_of
from brokenreg.wire.asgi import (
    CUT,
    PACE,
    RAW,
    ZERO_COPY,
    ASGIApp,
    ClientDisconnectedError,
    End,
    Message,
    Receive,
    Scope,
    Send,
    header,
)
from brokenreg.wire.connection import CONNECTION, Wire
from brokenreg.wire.cutting import cut
from brokenreg.wire.http2 import BODY_FOLLOWS
from brokenreg.wire.inbound_connection import AcceptedConnections
from brokenreg.wire.request_body import RequestBody

Result = TypeVar("Result")

_STREAM = "brokenreg.stream"
_START = "http.response.start"
_BODILESS = ("GET", "HEAD", "DELETE")
H2 = "2"
"""The `http_version` of HTTP/2 in a scope."""


class Stream:
    """The connection of one request (on HTTP/2, its stream), through which the response is sent.

    `body` is the request's body, or None if it has none. `gone` is set when the client disconnects.
    """

    __slots__ = ("_body", "_http_stream", "_send", "connection", "gone", "is_cut", "stream_id")

    def __init__(self, connection: Wire, scope: Scope, body: RequestBody | None, send: Send) -> None:
        self._http_stream: Any = send.__self__  # type: ignore[attr-defined]  # a bound method of HTTPStream
        self._send = send
        self._body = body
        self.connection = connection
        self.stream_id: int = self._http_stream.stream_id
        self.gone = _end_of(self._http_stream) if scope["http_version"] == H2 else connection.gone
        self.is_cut = False
        """True if we cut it."""

    @property
    def is_gone(self) -> bool:
        """True if the client has disconnected."""
        return bool(self._http_stream.closed) or self.connection.gone.is_set()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait that many seconds. Raise `ClientDisconnectedError` when the client disconnects."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.disconnected()

    async def disconnected(self) -> NoReturn:
        """Wait until the client disconnects, and raise `ClientDisconnectedError`.

        The rest of the request's body is read and dropped meanwhile: nobody can see a client disconnect
        behind a body that is not read.
        """
        if self._body is not None:
            self._body.discard()
        await self.gone.wait()
        raise ClientDisconnectedError

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns; end it and raise `ClientDisconnectedError` on a disconnect."""
        return await first_of(work, self.disconnected())

    async def send(self, message: Message) -> None:
        """Send as ASGI's `send` does, and `ZERO_COPY`, `RAW`, `CUT` and `PACE`.

        Raise `ClientDisconnectedError`: Hypercorn would ignore what is sent after a disconnect, and the
        application would run to its end.
        """
        if self.is_gone:
            raise ClientDisconnectedError
        kind = message["type"]
        # A connection that is closed with unread bytes is reset.
        if self._body is not None and kind in (_START, RAW, CUT) and message.get("end") is not End.RST:
            await self._body.discarded()
        if kind == _START:
            self.connection.pace = message.get(PACE, 0.0)
            await self._send(message)
            self.connection.pace = 0.0
        elif kind == ZERO_COPY:
            await self.connection.send_file(message["file"], message["offset"], message["count"])
        elif kind == RAW:
            await self.connection.write(message["data"])
        elif kind == CUT:
            self.is_cut = True
            code = message.get("code", 0)
            await cut(self.connection, message["end"], stream_id=self.stream_id, code=code)
        else:
            await self._send(message)


def stream_of(scope: Scope) -> Stream:
    """Return the stream that a request came by."""
    stream: Stream = scope[_STREAM]
    return stream


class ConnectionMiddleware:
    """Wraps the application of one listener; `accepted` has the connections of that listener."""

    def __init__(self, app: ASGIApp, accepted: AcceptedConnections | None = None) -> None:
        self._app = app
        self.accepted = accepted or AcceptedConnections()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # Hypercorn answers 403
            return
        scheme, absolute, place = scope["path"].partition("://")
        if absolute and "/" not in scheme:  # absolute form (RFC 9112, section 3.2.2)
            scope["path"] = f"/{place.partition('/')[2]}"
        connection = CONNECTION.get()
        if not connection.inbound.has_request:
            connection.inbound.note_first_request()
        body = _body_of(scope, receive)
        stream = scope[_STREAM] = Stream(connection, scope, body, send)
        if scope["http_version"] == "1.1" and scope["scheme"] == "http":
            scope["extensions"][ZERO_COPY] = {}
        try:
            with contextlib.suppress(ClientDisconnectedError):
                await self._app(scope, receive if body is None else body.receive, stream.send)
        finally:
            if body is not None:
                body.close()


def _body_of(scope: Scope, receive: Receive) -> RequestBody | None:
    is_http2 = scope["http_version"] == H2
    if is_http2 and not BODY_FOLLOWS.get():
        return None
    length = header(scope, b"content-length")
    if length is None:
        is_empty = scope["method"] in _BODILESS and header(scope, b"transfer-encoding") is None
    else:
        is_empty = length == b"0"
    # Over HTTP/2, DATA frames follow even then, and each of them is a message.
    return RequestBody(receive, is_empty=is_empty) if is_http2 or not is_empty else None


def _end_of(http_stream: Any) -> asyncio.Event:
    """Return an event that is set when an HTTP/2 stream ends; its connection may continue."""
    ended = asyncio.Event()
    handle = http_stream.handle

    async def observe(event: Event) -> None:
        if isinstance(event, StreamClosed):
            ended.set()
        await handle(event)

    http_stream.handle = observe
    return ended


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
