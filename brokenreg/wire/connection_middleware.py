"""The outermost ASGI application: tells the ones inside which connection and stream they serve."""

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
)
from brokenreg.wire.connection import CONNECTION, Wire
from brokenreg.wire.cutting import cut
from brokenreg.wire.inbound_connection import AcceptedConnections
from brokenreg.wire.request_body import RequestBody

Result = TypeVar("Result")

_STREAM = "brokenreg.stream"
H2 = "2"
"""The `http_version` of HTTP/2 in a scope."""


class Stream:
    """One request's way out: its connection, and on HTTP/2 the stream in it.

    `stream_of` finds it in a scope. `gone` is set once the client has disconnected.
    """

    __slots__ = ("_body", "_http_stream", "_send", "connection", "gone", "is_cut", "stream_id")

    def __init__(self, connection: Wire, scope: Scope, body: RequestBody, send: Send) -> None:
        self._http_stream: Any = send.__self__  # type: ignore[attr-defined]  # a bound method of HTTPStream
        self._send = send
        self._body = body
        self.connection = connection
        self.stream_id: int = self._http_stream.stream_id
        self.gone = _end_of(self._http_stream) if scope["http_version"] == H2 else connection.gone
        self.is_cut = False
        """We ended it, and not well."""

    @property
    def is_gone(self) -> bool:
        """Whether nobody will read what is sent now."""
        return bool(self._http_stream.closed) or self.connection.gone.is_set()

    async def wait(self, seconds: float | None = None) -> None:
        """Let that time pass. Raise `ClientDisconnectedError` as soon as the client disconnects."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.disconnected()

    async def disconnected(self) -> NoReturn:
        """Wait until the client disconnects, and raise `ClientDisconnectedError`.

        The rest of the request's body is read and dropped meanwhile: nobody can see a client disconnect
        behind a body that is not read.
        """
        self._body.discard()
        await self.gone.wait()
        raise ClientDisconnectedError

    async def unless_gone(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what `work` returns; end it and raise `ClientDisconnectedError` on a disconnect."""
        return await first_of(work, self.disconnected())

    async def send(self, message: Message) -> None:
        """As ASGI's `send`, with `ZERO_COPY`, `RAW`, `CUT` and `PACE`. Raise `ClientDisconnectedError`.

        Hypercorn swallows what is sent to nobody; a generator would run to its end.
        """
        if self.is_gone:
            raise ClientDisconnectedError
        kind = message["type"]
        if kind == "http.response.start":
            await self._body.discarded()
            self.connection.pace = message.get(PACE, 0.0)
            await self._send(message)
            self.connection.pace = 0.0
        elif kind == ZERO_COPY:
            await self.connection.send_file(message["file"], message["offset"], message["count"])
        elif kind == RAW:
            await self._body.discarded()
            await self.connection.write(message["data"])
        elif kind == CUT:
            await self._cut(message["end"], message.get("code", 0))
        else:
            await self._send(message)

    async def _cut(self, end: End, code: int) -> None:
        if end is not End.RST:  # a close with unread bytes would be a reset
            await self._body.discarded()
        self.is_cut = True
        await cut(self.connection, end, stream_id=self.stream_id, code=code)


def stream_of(scope: Scope) -> Stream:
    """Return the stream that a request came by."""
    stream: Stream = scope[_STREAM]
    return stream


class ConnectionMiddleware:
    """Wraps the application of one listener; `door` is who stands there before it."""

    def __init__(self, app: ASGIApp, door: AcceptedConnections | None = None) -> None:
        self._app = app
        self.door = door or AcceptedConnections()

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
        connection.arrival.request()
        body = RequestBody(scope, receive)
        stream = Stream(connection, scope, body, send)
        scope[_STREAM] = stream
        if scope["http_version"] == "1.1" and scope["scheme"] == "http":
            scope["extensions"][ZERO_COPY] = {}
        try:
            with contextlib.suppress(ClientDisconnectedError):
                await self._app(scope, body.receive, stream.send)
        finally:
            body.close()


def _end_of(http_stream: Any) -> asyncio.Event:
    """An event for the end of an HTTP/2 stream, whose connection may live on."""
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
