"""HTTP/1.1 without a whole brokenreg: connections on a socket or a recording transport, and applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from brokenreg.http.asgi import PACE, ASGIApp, ClientDisconnectedError, Message
from brokenreg.listening.inbound_connection import AcceptedConnections, InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.http1 import HTTP1
from brokenreg.wire.stream import Answer, Stream

Headers = Sequence[tuple[bytes, bytes]]
GET = b"GET %b HTTP/1.1\r\nHost: example.org\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH_2 = ((b"content-length", b"2"),)


class RecordingTransport(asyncio.Transport):
    """Records written bytes, and whether reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reads = True
        self.has_written_eof = False
        self.unsent = 0
        self.was_aborted = False
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return asyncio.Protocol()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5000) if name in ("peername", "sockname") else default

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self.was_aborted = self._is_closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_written_eof = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def inbound_connection(*, over_tls: bool = False) -> InboundConnection:
    """Return an inbound connection without a listener."""
    return InboundConnection(
        AcceptedConnections(), "127.0.0.1:1", over_tls=over_tls, cut=lambda: None, send_last=lambda data: None
    )


def connect(answer: Answer, websocket: ASGIApp | None = None) -> tuple[HTTP1, RecordingTransport]:
    """Return a connection whose bytes a test feeds, and the transport that it writes to."""
    transport = RecordingTransport()
    return HTTP1(Application(answer, websocket=websocket), inbound_connection(), transport), transport


async def feed(connection: HTTP1, pieces: Iterable[bytes]) -> None:
    """Let a connection receive these pieces one after another, as fast as it reads."""
    transport = connection.transport
    assert isinstance(transport, RecordingTransport)
    for piece in pieces:
        await until(lambda: transport.reads or connection.ended.done())
        if connection.ended.done():  # another protocol has taken over
            return
        if piece and not transport.is_closing():
            connection.data_received(piece)
        await asyncio.sleep(0)
    await settle()


async def settle() -> None:
    """Wait until all tasks have done what they can without events from outside."""
    for _ in range(5):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], pause: float = 0.0) -> None:
    """Wait until a condition holds that depends only on the event loop."""
    while not condition():  # noqa: ASYNC110 - what changes it sets no event
        await asyncio.sleep(pause)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[int, list[HTTP1]]]:
    """Serve on a port of this machine, and yield the port and the accepted connections."""
    connections: list[HTTP1] = []

    class First(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            connections.append(HTTP1(Application(answer), inbound_connection(), transport))
            transport.set_protocol(connections[-1])

    server = await asyncio.get_running_loop().create_server(First, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        for connection in connections:
            connection.abort()
            await connection.ended


def respond(stream: Stream) -> None:
    """Respond immediately with the path."""
    path = stream.scope["raw_path"]
    stream.respond(200, ((b"content-length", b"%d" % len(path)),), path)


def start(status: int = 200, headers: Headers = LENGTH_2, pace: float = 0.0) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), PACE: pace}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class Held:
    """An application that responds when the test allows it, and records disconnected clients."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.disconnected: list[bytes] = []
        self.news = asyncio.Event()
        self.let = asyncio.Event()

    def __call__(self, stream: Stream) -> Coroutine[Any, Any, None]:
        self.streams.append(stream)
        self.news.set()
        return self._respond(stream)

    async def _respond(self, stream: Stream) -> None:
        try:
            await stream.unless_gone(self.let.wait())
        except ClientDisconnectedError:
            self.disconnected.append(stream.scope["raw_path"])
            self.news.set()
            raise
        await stream.send(start())
        await stream.send(body(b"ok"))


class Reader:
    """An application that reads the body when the test allows it, and then responds."""

    def __init__(self, *, is_let: bool = True) -> None:
        self.messages: list[Message] = []
        self.let = asyncio.Event()
        self.cut_short: list[bool] = []
        if is_let:
            self.let.set()

    async def __call__(self, stream: Stream) -> None:
        await self.let.wait()
        while not self.messages or self.messages[-1].get("more_body"):
            self.messages.append(await stream.receive())
        assert stream.body is not None
        self.cut_short.append(stream.body.is_cut_short)
        await stream.send(start())
        await stream.send(body(b"ok"))

    @property
    def received(self) -> bytes:
        return b"".join(message["body"] for message in self.messages)
