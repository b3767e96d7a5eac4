"""`HTTP2Stream`, one request over HTTP/2 and the way of its response, and what all of a connection share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import IO

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.stream import StreamInputs
from h2.windows import WindowManager

from brokenreg.bulk.sendfile import read_part
from brokenreg.http import http2_frames as frames
from brokenreg.http.asgi import ClientDisconnectedError, EncodedHeaders, End, Scope
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.connection import Connection
from brokenreg.wire.request_body import RequestBody
from brokenreg.wire.stream import CHUNK, Stream

WINDOW, STREAM_WINDOW = 4 * 1024 * 1024, 1024 * 1024
"""Bytes of request bodies that may wait in memory for one connection, and for one of its streams."""

_SHARED_ROOM, _LEAST_ROOM = 2400 * 1024, 16 * 1024
"""Bytes of responses that may wait for one connection, and for each stream even if those are used up."""

_USEFUL = 1024
"""Bytes of a body that make up for one frame that costs the client nothing."""

_LARGE_WRITE, _MOST_WRITTEN = 32 * 1024, 512 * 1024
"""Bytes after which the event loop gets a turn, and how many are written in one turn at most."""

_BODILESS = ("GET", "HEAD", "DELETE")
"""Methods of requests that seldom have a body."""


class SharedConnection(Connection):
    """What streams use of their connection: its frames, which share one write a turn, and its window."""

    def __init__(self, h2: H2Connection, inbound: InboundConnection, transport: asyncio.Transport) -> None:
        super().__init__(inbound, transport)
        self.h2 = h2
        self.streams: dict[int, HTTP2Stream] = {}
        """Those whose request or response has not ended."""
        self.window = WindowManager(WINDOW)
        """What the client may send of bodies; the h2 library keeps what we may send."""
        self.floods = frames.FloodCounter()
        self.is_table_changed = True
        """True if the next header block must say that it uses no dynamic table (RFC 7541, section 4.2)."""
        self.is_held = False
        """True while frames are collected that are all sent together."""
        self._frames: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send frames with what else is sent in this turn of the event loop."""
        self._frames.append(data)
        if not self.is_held:
            self.is_held = True
            self.loop.call_soon(self.flush)

    def collect(self) -> None:
        """Send what the h2 library has to send."""
        if data := self.h2.data_to_send():
            self.write(data)

    def flush(self) -> None:
        """Give the transport what was collected."""
        self.is_held = False
        pieces, self._frames = self._frames, []
        if pieces and not (self.gone.is_set() or self.transport.is_closing()):
            self.transport.write(b"".join(pieces))

    def reset_stream(self, stream_id: int, code: int) -> None:
        self.h2.reset_stream(stream_id, code)
        self.collect()

    def take(self, size: int) -> None:
        """Note that DATA waits in memory no longer, and let the client send as many bytes again."""
        if more := self.window.process_bytes(size):
            self.write(frames.window_update(0, more))

    def end_stream(self, stream_id: int) -> None:
        """Forget a stream, which has ended in both directions."""
        raise NotImplementedError


class HTTP2Stream(Stream):
    """One stream of HTTP/2. The h2 library keeps its state, but does not see its DATA frames."""

    connection: SharedConnection

    def __init__(
        self, connection: SharedConnection, stream_id: int, scope: Scope, *, length: int | None, ends: bool
    ) -> None:
        """`length` is the Content-Length; `ends` says that no body follows."""
        body = None
        if not ends:
            is_empty = scope["method"] in _BODILESS if length is None else not length
            body = RequestBody(self._take, is_empty=is_empty)
            self._window = WindowManager(STREAM_WINDOW)
        super().__init__(connection, scope, body)
        self.stream_id = stream_id
        self.promised = 0
        """Bytes of the response that may be produced, and may have to wait then."""
        self._state = connection.h2.streams[stream_id]
        self._left = length
        self._waiting = 0
        self._has_body = True
        self._is_over = False
        """True if END_STREAM or RST_STREAM was sent."""
        self.gone = asyncio.Event()
        self.news = asyncio.Event()
        """Set when a window or the transport has changed, or it is gone."""

    # The request

    def receive_data(self, data: memoryview, size: int, *, end: bool) -> None:
        """Take a DATA frame, `size` bytes with its padding. Raise `ProtocolError`."""
        if self.body is None or self.body.is_ended:
            self.connection.take(size)
            self._reset(ErrorCodes.STREAM_CLOSED, frames.ERROR_COST)
            return
        self._window.window_consumed(size)
        self._take(size - len(data))
        if data:
            self.body.feed(bytes(data))
            self.connection.floods.make_up(len(data) / _USEFUL)
        if self._left is not None:
            self._left -= len(data)
        if end:
            self._state.state_machine.process_input(StreamInputs.RECV_END_STREAM)
            self.end_request()
        elif self._left is not None and self._left < 0:
            self._reset(ErrorCodes.PROTOCOL_ERROR, frames.ERROR_COST)

    def end_request(self) -> None:
        """Note the end of the request."""
        if self.body is None or self.body.is_ended:
            return
        if self._left:
            self._reset(ErrorCodes.PROTOCOL_ERROR, frames.ERROR_COST)
            return
        self.body.end()
        if self._is_over:
            self.connection.end_stream(self.stream_id)

    def _take(self, size: int) -> None:
        """Let the client send as many bytes again as were taken of the body."""
        self.connection.take(size)
        more = self._window.process_bytes(size)
        if more and not (self.is_read or self.is_gone):
            self.connection.write(frames.window_update(self.stream_id, more))

    def lose(self) -> None:
        """Note that the client has disconnected, or that the stream was reset."""
        self._is_over = True
        self.gone.set()
        if self.body is not None:
            self.body.lose()
        self.news.set()
        self.connection.end_stream(self.stream_id)

    # The response

    def can_respond(self, size: int) -> bool:
        if self.body is not None:
            return False
        return not size or (self.connection.has_room and size <= self._sendable())

    def respond(self, status: int, headers: EncodedHeaders, body: bytes) -> None:
        if not self._is_over:
            self._write_head(status, headers, body)
        if not self._is_over:
            self._write_data(body, end=True)

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        self._check()
        self._write_head(status, headers)

    async def _send_body(self, data: bytes | memoryview, *, more: bool) -> None:
        self._check()
        view = memoryview(data if self._has_body else b"")
        self._waiting = len(view)
        while view:
            size = min(await self._open(), len(view))
            self._waiting -= size
            self._write_data(view[:size], end=not (more or self._waiting))
            view = view[size:]
            if size >= _LARGE_WRITE:
                self.connection.flush()
                await asyncio.sleep(0)
        self.promised = 0
        if not (more or self._is_over):
            self._write_data(view, end=True)

    async def _send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        end = offset + (count if self._has_body else 0)
        while offset < end:
            data = await read_part(file, offset, min(await self.room(_MOST_WRITTEN), end - offset))
            offset += len(data)
            self.file_bytes += len(data)
            await self._send_body(data, more=True)
        while not self.connection.has_room:
            await self._wait()

    async def _cut(self, end: End, code: int) -> None:
        if end is End.RESET_STREAM:
            if not self._is_over:
                self._reset(code)
            return
        if end is End.GOAWAY:
            # This stream was not processed, but those before it were (RFC 9113, section 6.8).
            self.connection.write(frames.goaway(max(0, self.stream_id - 2), code))
        self.connection.flush()
        await super()._cut(end, code)

    async def room(self, most: int = CHUNK) -> int:
        """What is made may have to wait: flow control would let a stream that is held stop all others."""
        size = min(await self._open(), most)
        others = sum(each.promised for each in self.connection.streams.values()) - self.promised
        self.promised = min(size, max(_LEAST_ROOM, _SHARED_ROOM - others))
        return self.promised

    def fail(self) -> None:
        if self.has_started and not self._is_over:
            self._reset(ErrorCodes.INTERNAL_ERROR)
        else:
            self.respond(500, ((b"content-length", b"0"),), b"")

    # What others see of it

    @property
    def unsent(self) -> int:
        return self._waiting + self.connection.unsent

    # How it is sent

    def _write_head(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes | None = None
    ) -> None:
        """Send the head of a response, and the end if `body`, where it is known already, is empty."""
        self.has_started = True
        self._has_body = status not in (204, 304) and self.scope["method"] != "HEAD"
        block = frames.header_block(status, headers)
        if self.connection.is_table_changed:
            self.connection.is_table_changed = False
            block = frames.NO_TABLE + block
        end = body is not None and not (body and self._has_body)
        size = self.connection.h2.max_outbound_frame_size
        self.connection.write(frames.header_frames(self.stream_id, block, size, end=end))
        if end:
            self._end_response()

    def _write_data(self, data: bytes | memoryview, *, end: bool) -> None:
        """Send a part of a body for which there is a window."""
        self.connection.h2.outbound_flow_control_window -= len(data)
        self._state.outbound_flow_control_window -= len(data)
        self.connection.floods.make_up(len(data) / _USEFUL)
        size = self.connection.h2.max_outbound_frame_size
        self.connection.write(frames.data_frames(self.stream_id, data, size, end=end))
        if end:
            self._end_response()

    def _end_response(self) -> None:
        """Note that END_STREAM was sent. The rest of the request's body is still read, and dropped.

        RST_STREAM with NO_ERROR (RFC 9113, section 8.1) would make curl lose the response.
        """
        self._state.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        self._is_over = True
        if self.body is None or self.is_read:
            self.connection.end_stream(self.stream_id)
        else:
            self.body.drop()

    def _reset(self, code: int, cost: float = 0.0) -> None:
        """Reset the stream; if that is the client's fault, it costs something."""
        self.connection.floods.count(cost)
        self.connection.reset_stream(self.stream_id, code)
        self.lose()

    def _check(self) -> None:
        if self._is_over:
            raise ClientDisconnectedError

    def _sendable(self) -> int:
        """Return how many bytes of a body flow control allows now; can be negative."""
        return min(self.connection.h2.outbound_flow_control_window, self._state.outbound_flow_control_window)

    async def _open(self) -> int:
        """Return how many bytes can be written now; wait while there are none."""
        self._check()
        while not self.connection.has_room or self._sendable() <= 0:
            await self._wait()
        return min(self._sendable(), _MOST_WRITTEN)

    async def _wait(self) -> None:
        """Wait until a window or the transport changes. Raise `ClientDisconnectedError`."""
        self.news.clear()
        await self.news.wait()
        self._check()
