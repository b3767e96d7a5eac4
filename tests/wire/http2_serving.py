"""An HTTP/2 connection without a whole brokenreg, and a client that writes and reads single frames."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from brokenreg.http.asgi import ClientDisconnectedError, Message, ReadyResponse, complete
from brokenreg.http.http2_frames import PREFACE
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.http2 import HTTP2
from brokenreg.wire.stream import Answer, Stream
from tests.wire.http1_serving import RecordingTransport, inbound_connection

Fields = Iterable[tuple[str, str]]
TURNS = 40


class Reset(NamedTuple):
    """How a stream was reset."""

    code: int


@dataclass
class Received:
    """What the client has received on one stream."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool | Reset = False

    @property
    def status(self) -> int:
        return int(dict(self.fields)[":status"])


class Peer:
    """A client of one connection. Frames that it reads are kept until `read` returns them."""

    def __init__(self, answer: Answer, *, window: int | None = None) -> None:
        self.transport = RecordingTransport()
        self.inbound: InboundConnection = inbound_connection()
        self.connection = HTTP2(Application(answer), self.inbound, self.transport)
        self.encoder, self._decoder = Encoder(), Decoder()
        self.streams: dict[int, Received] = {}
        self.goaway: GoAwayFrame | None = None
        self.frames: list[Frame] = []
        self._block = b""
        self._written = b""
        self._stream = -1
        settings = {} if window is None else {SettingsFrame.INITIAL_WINDOW_SIZE: window}
        self.greeting = PREFACE + SettingsFrame(settings=settings).serialize()

    async def greet(self) -> Peer:
        """Send the preface and the settings."""
        await self.send(self.greeting)
        return self

    async def send(self, *data: bytes | Frame) -> None:
        """Send bytes and frames, and wait until the server has handled them."""
        sent = b"".join(each if isinstance(each, bytes) else each.serialize() for each in data)
        if not self.transport.is_closing():
            self.connection.data_received(sent)
        await self.settle()

    async def settle(self) -> None:
        """Wait until the server has nothing more to do, and read what it has sent."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self._written += b"".join(self.transport.writes)
        self.transport.writes.clear()
        view, at = memoryview(self._written), 0
        while len(view) - at >= 9:
            frame, length = Frame.parse_frame_header(view[at : at + 9])
            frame.parse_body(view[at + 9 : at + 9 + length])
            at += 9 + length
            self._take(frame)
        self._written = self._written[at:]

    def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        received = self.streams.setdefault(frame.stream_id, Received())
        if isinstance(frame, GoAwayFrame):
            self.goaway = frame
        elif isinstance(frame, HeadersFrame | ContinuationFrame):
            self._block += frame.data
            if "END_HEADERS" in frame.flags:
                fields = self._decoder.decode(self._block)
                received.fields += [(str(name), str(value)) for name, value in fields]
                self._block = b""
        elif isinstance(frame, DataFrame):
            received.body += frame.data
        elif isinstance(frame, RstStreamFrame):
            received.ended = Reset(frame.error_code)
        if "END_STREAM" in frame.flags:
            received.ended = True

    def count(self, kind: type[Frame]) -> int:
        """Return the number of received frames of that kind."""
        return sum(isinstance(frame, kind) for frame in self.frames)

    def request(
        self, path: str = "/", method: str = "GET", fields: Fields = (), *, end: bool = True
    ) -> Frame:
        """Return the HEADERS of the next request."""
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "example"), (":path", path)]
        return self.head([*pseudo, *fields], end=end)

    def head(self, fields: Fields, *, end: bool = True) -> Frame:
        """Return the HEADERS of the next request, which may be malformed."""
        self._stream += 2
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(self._stream, self.encoder.encode(fields), flags=flags)

    def last(self) -> Received:
        """Return what the client has received on the stream of the last request."""
        return self.streams.setdefault(self._stream, Received())

    @property
    def stream_id(self) -> int:
        return self._stream


def window_update(stream: int, increment: int) -> Frame:
    return WindowUpdateFrame(stream, window_increment=increment)


def data(stream: int, content: bytes = b"", *, end: bool = False) -> Frame:
    return DataFrame(stream, content, flags=["END_STREAM"] if end else [])


def initial_window(size: int) -> Frame:
    return SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: size})


def ping(number: int = 0) -> Frame:
    return PingFrame(0, struct.pack(">Q", number))


def reset(stream: int) -> Frame:
    return RstStreamFrame(stream, error_code=8)


@dataclass
class Uploads:
    """An application that reads the body of each request, and responds with its length."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    disconnected: list[str] = field(default_factory=list)
    scopes: list[Message] = field(default_factory=list)

    def answer(self, stream: Stream) -> Coroutine[Any, Any, None]:
        self.scopes.append(stream.scope)
        return self._receive(stream)

    async def _receive(self, stream: Stream) -> None:
        path = stream.scope["path"]
        self.bodies[path] = b""
        while True:
            message = await stream.receive()
            if message["type"] == "http.disconnect":
                self.disconnected.append(path)
                raise ClientDisconnectedError
            self.bodies[path] += message["body"]
            if not message["more_body"]:
                break
        await respond(stream, b"%d" % len(self.bodies[path]))


async def respond(stream: Stream, body: bytes, parts: int = 1) -> None:
    """Send a response in parts."""
    await stream.send({"type": "http.response.start", "status": 200, "headers": []})
    size = -(-len(body) // parts)
    for number in range(parts):
        await stream.send(
            {"type": "http.response.body", "body": body[number * size :][:size], "more_body": True}
        )
    await stream.send({"type": "http.response.body", "body": b"", "more_body": False})


def at_once(body: bytes, status: int = 200) -> Answer:
    """Return an application that responds synchronously, if the body fits the window."""
    response = ReadyResponse(status, ((b"content-length", b"%d" % len(body)),), body)

    def answer(stream: Stream) -> Coroutine[Any, Any, None] | None:
        if not stream.can_respond(len(body)):
            return complete(response, stream.send)
        stream.respond(*response)
        return None

    return answer
