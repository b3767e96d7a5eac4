"""`HTTP2Stream`: one request over HTTP/2 and its response. `SharedConnection`: what its streams share."""

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
"""Maximum number of bytes of request bodies in memory, for one connection and for one of its streams."""

_SHARED_ROOM, _LEAST_ROOM = 2400 * 1024, 16 * 1024
"""Maximum number of waiting bytes of responses for one connection, and the minimum for each stream."""

_USEFUL = 1024
"""Number of bytes of a body that compensate for one cheap frame (`FloodCounter`)."""

_LARGE_WRITE, _MOST_WRITTEN = 32 * 1024, 512 * 1024
"""Size of a write after which other tasks run, and maximum size of a write, in bytes."""

_BODILESS = ("GET", "HEAD", "DELETE")
"""Methods of requests that rarely have a body."""


class SharedConnection(Connection):
    """The part of a connection that its streams use: its window, and its frames, which share writes."""

    def __init__(self, h2: H2Connection, inbound: InboundConnection, transport: asyncio.Transport) -> None:
        super().__init__(inbound, transport)
        self.h2 = h2
        self.streams: dict[int, HTTP2Stream] = {}
        """The streams whose request or response has not ended."""
        self.window = WindowManager(WINDOW)
        """The number of bytes that the client may send. The h2 library counts what we may send."""
        self.floods = frames.FloodCounter()
        self.is_table_changed = True
        """True if the next header block must say that it uses no dynamic table (RFC 7541, section 4.2)."""
        self.is_held = False
        """True while frames are collected, to be sent together."""
        self._frames: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send frames, together with others of this iteration of the event loop."""
        self._frames.append(data)
        if not self.is_held:
            self.is_held = True
            self.loop.call_soon(self.flush)

    def collect(self) -> None:
        """Send the bytes that the h2 library has prepared."""
        if data := self.h2.data_to_send():
            self.write(data)

    def flush(self) -> None:
        """Write the collected frames to the transport."""
        self.is_held = False
        pieces, self._frames = self._frames, []
        if pieces and not (self.gone.is_set() or self.transport.is_closing()):
            self.transport.write(b"".join(pieces))

    def reset_stream(self, stream_id: int, code: int) -> None:
        self.h2.reset_stream(stream_id, code)
        self.collect()

    def take(self, size: int) -> None:
        """Note that bytes of DATA are no longer in memory, and let the client send as many more."""
        if more := self.window.process_bytes(size):
            self.write(frames.window_update(0, more))

    def end_stream(self, stream_id: int) -> None:
        """Remove a stream that has ended in both directions."""
        raise NotImplementedError


class HTTP2Stream(Stream):
    """One stream of HTTP/2. The h2 library keeps its state, but does not see its DATA frames."""

    connection: SharedConnection

    def __init__(
        self, connection: SharedConnection, stream_id: int, scope: Scope, *, length: int | None, ends: bool
    ) -> None:
        """Create a stream. `length` is the Content-Length. `ends` means that no body follows."""
        body = None
        if not ends:
            is_empty = scope["method"] in _BODILESS if length is None else not length
            body = RequestBody(self._take, is_empty=is_empty)
            self._window = WindowManager(STREAM_WINDOW)
        super().__init__(connection, scope, body)
        self.stream_id = stream_id
        self.promised = 0
        """The number of bytes of the response that may be produced, and may then have to wait."""
        self._state = connection.h2.streams[stream_id]
        self._left = length
        self._waiting = 0
        self._has_body = True
        self._is_over = False
        """True if END_STREAM or RST_STREAM was sent."""
        self.gone = asyncio.Event()
        self.news = asyncio.Event()
        """Set when a window or the transport has changed, or when the client has disconnected."""

    # The request

    def receive_data(self, data: memoryview, size: int, *, end: bool) -> None:
        """Handle a DATA frame of `size` bytes with its padding. Raise `ProtocolError`."""
        if self.body is None or self.body.is_ended:
            self.connection.take(size)
            self._reset(ErrorCodes.STREAM_CLOSED, frames.ERROR_COST)
            return
        self._window.window_consumed(size)
        self._take(size - len(data))
        if data:
            self.body.feed(bytes(data))
            self.connection.floods.credit(len(data) / _USEFUL)
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
        """Let the client send as many more bytes as were taken from the body."""
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
        """Produced bytes may have to wait, because otherwise a held stream would stop all others."""
        size = min(await self._open(), most)
        others = sum(each.promised for each in self.connection.streams.values()) - self.promised
        self.promised = min(size, max(_LEAST_ROOM, _SHARED_ROOM - others))
        return self.promised

    def fail(self) -> None:
        if self.has_started and not self._is_over:
            self._reset(ErrorCodes.INTERNAL_ERROR)
        else:
            self.respond(500, ((b"content-length", b"0"),), b"")

    @property
    def unsent(self) -> int:
        return self._waiting + self.connection.unsent

    # Sending

    def _write_head(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes | None = None
    ) -> None:
        """Send the head of a response. If `body` is given and empty, also end the response."""
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
        """Send a part of a body that fits the window."""
        self.connection.h2.outbound_flow_control_window -= len(data)
        self._state.outbound_flow_control_window -= len(data)
        self.connection.floods.credit(len(data) / _USEFUL)
        size = self.connection.h2.max_outbound_frame_size
        self.connection.write(frames.data_frames(self.stream_id, data, size, end=end))
        if end:
            self._end_response()

    def _end_response(self) -> None:
        """Note that END_STREAM was sent. The rest of the request's body is still read and dropped.

        RST_STREAM with NO_ERROR (RFC 9113, section 8.1) would make curl lose the response.
        """
        self._state.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        self._is_over = True
        if self.body is None or self.is_read:
            self.connection.end_stream(self.stream_id)
        else:
            self.body.drop()

    def _reset(self, code: int, cost: float = 0.0) -> None:
        """Reset the stream. `cost` is counted for an error of the client."""
        self.connection.floods.count(cost)
        self.connection.reset_stream(self.stream_id, code)
        self.lose()

    def _check(self) -> None:
        if self._is_over:
            raise ClientDisconnectedError

    def _sendable(self) -> int:
        """Return the number of bytes of a body that flow control allows now. It can be negative."""
        return min(self.connection.h2.outbound_flow_control_window, self._state.outbound_flow_control_window)

    async def _open(self) -> int:
        """Return the number of bytes that can be written now. Wait until it is at least 1."""
        self._check()
        while not self.connection.has_room or self._sendable() <= 0:
            await self._wait()
        return min(self._sendable(), _MOST_WRITTEN)

    async def _wait(self) -> None:
        """Wait until a window or the transport changes. Raise `ClientDisconnectedError`."""
        self.news.clear()
        await self.news.wait()
        self._check()
