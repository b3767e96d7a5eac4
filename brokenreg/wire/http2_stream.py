"""`HTTP2Stream`: one request over HTTP/2 and the way of its response; `Outgoing`: what a connection sends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import IO

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.stream import H2Stream, StreamInputs

from brokenreg.concurrency import ThreadPool
from brokenreg.wire import http2_frames as frames
from brokenreg.wire.asgi import ClientDisconnectedError, EncodedHeaders, End, Scope
from brokenreg.wire.connection import Connection
from brokenreg.wire.cutting import cut
from brokenreg.wire.request_body import RequestBody
from brokenreg.wire.stream import CHUNK, Stream

_THREADS = ThreadPool("http2-files", max(2, os.cpu_count() or 1))
_BODILESS = ("GET", "HEAD", "DELETE")
"""Methods of requests that seldom have a body."""

_LARGE_WRITE = 32 * 1024
"""Bytes after which the event loop gets a turn."""

_MOST_WAITING = 4 * 1024 * 1024
"""Bytes of bodies that may wait in memory for one connection, for all of its streams together."""

_LEAST_ROOM = 16 * 1024
"""Bytes that each stream may produce even if the others have used up what may wait."""

STREAM_WINDOW = 1024 * 1024
"""Bytes of a request's body that may wait in memory."""

MOST_STREAMS = 100
"""Requests that may be in flight on one connection."""

_USEFUL = 1024
"""Bytes of a body that make up for one frame that costs the client nothing."""


class Outgoing:
    """What one connection sends: its frames in order, its flow control, and its streams."""

    def __init__(self, connection: Connection, h2: H2Connection, floods: frames.FloodCounter) -> None:
        self.connection = connection
        self.h2 = h2
        self.floods = floods
        self.streams: dict[int, HTTP2Stream] = {}
        """The streams whose request or response has not ended."""
        self.is_draining = False
        """True if no more requests are accepted; the connection is closed after those in flight."""
        self.is_held = False
        """True while frames are collected that are all sent together."""
        self.is_table_changed = True
        """True if the next header block must say that it uses no dynamic table (RFC 7541, section 4.2)."""
        self._frames: list[bytes | bytearray | memoryview] = []
        self._promised = 0

    def write(self, *pieces: bytes | bytearray | memoryview) -> None:
        """Send frames with what else is sent in this turn of the event loop."""
        self._frames += pieces
        if not self.is_held:
            self.is_held = True
            self.connection.loop.call_soon(self.flush)

    def collect(self) -> None:
        """Send what the h2 library sends."""
        if data := self.h2.data_to_send():
            self.write(data)

    def flush(self) -> None:
        """Give the transport what was collected."""
        self.is_held = False
        pieces, self._frames = self._frames, []
        if pieces and not self.connection.gone.is_set():
            self.connection.transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def has_room(self) -> bool:
        """Return whether the transport accepts more."""
        return self.connection.has_room

    def block(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return an encoded header block."""
        block = frames.header_block(status, headers)
        if self.is_table_changed:
            self.is_table_changed = False
            return frames.NO_TABLE + block
        return block

    def window(self, state: H2Stream) -> int:
        """Return how many bytes of a body flow control allows the stream to send now; can be negative."""
        return min(self.h2.outbound_flow_control_window, state.outbound_flow_control_window)

    def reserve(self, state: H2Stream, size: int) -> None:
        """Count bytes that are sent; a negative size gives back what was counted and not sent."""
        self.h2.outbound_flow_control_window -= size
        state.outbound_flow_control_window -= size
        if size > 0:
            self.floods.make_up(size / _USEFUL)

    def promise(self, before: int, size: int) -> int:
        """Return how many of `size` bytes may be produced, in place of those promised before."""
        left = _MOST_WAITING - MOST_STREAMS * _LEAST_ROOM - self._promised + before
        promised = min(size, max(_LEAST_ROOM, left))
        self._promised += promised - before
        return promised

    def reset(self, stream_id: int, code: int) -> None:
        """Reset a stream."""
        self.h2.reset_stream(stream_id, code)
        self.collect()

    def remove(self, stream: HTTP2Stream) -> None:
        """Forget a stream that has ended."""
        self.streams.pop(stream.stream_id, None)
        if self.is_draining and not self.streams:
            self.flush()
            self.connection.transport.close()

    def wake(self) -> None:
        """Let all streams see that the windows or the transport have changed."""
        for stream in self.streams.values():
            stream.wake()


class HTTP2Stream(Stream):
    """One stream of HTTP/2. Its state is the h2 library's, except that DATA frames pass by it."""

    __slots__ = (
        "_credit",
        "_end_of_client",
        "_expected",
        "_has_body",
        "_is_gone",
        "_is_over",
        "_opened",
        "_outgoing",
        "_promised",
        "_received",
        "_state",
        "_taken",
        "_waiting",
        "stream_id",
    )  # fmt: skip

    def __init__(
        self,
        outgoing: Outgoing,
        stream_id: int,
        scope: Scope,
        length: bytes | None,
        *,
        ends: bool,
        taken: Callable[[int], None],
    ) -> None:
        """`length` is the Content-Length; `ends` says that there is no body."""
        body = None
        if not ends:
            is_empty = scope["method"] in _BODILESS if length is None else not int(length)
            body = RequestBody(self._take, is_empty=is_empty)
        super().__init__(outgoing.connection.inbound, scope, body)
        self.stream_id = stream_id
        self._outgoing = outgoing
        self._taken = taken
        self._state = outgoing.h2.streams[stream_id]
        self._expected = None if length is None else int(length)
        self._credit = 0
        self._received = 0
        self._is_gone = False
        self._end_of_client: asyncio.Event | None = None
        self._opened: asyncio.Future[None] | None = None
        self._has_body = True
        self._is_over = False
        self._promised = 0
        self._waiting = 0

    # For the connection

    def note_end_of_data(self) -> None:
        """Let the h2 library know of END_STREAM in a DATA frame, which it does not see."""
        self._state.state_machine.process_input(StreamInputs.RECV_END_STREAM)

    def feed(self, data: bytes, *, end: bool) -> bool:
        """Take a part of the request's body, or its end. Return whether it is as long as announced."""
        self._received += len(data)
        expected = self._expected
        if expected is not None and (self._received > expected or (end and self._received < expected)):
            return False
        if self.body is not None:
            if data:
                self.body.feed(data)
            if end:
                self.body.end()
        if end and self._is_over:
            self._outgoing.remove(self)
        return True

    @property
    def is_half_closed(self) -> bool:
        """True if the client has ended the request."""
        return self.body is None or self.body.is_ended

    def _take(self, size: int) -> None:
        """Let the client send as many bytes again as were taken of the body."""
        self._taken(size)
        self._credit += size
        if self._credit >= STREAM_WINDOW // 4 and not (self.is_half_closed or self._is_gone):
            self._outgoing.write(frames.window_update(self.stream_id, self._credit))
            self._credit = 0

    def lose(self) -> None:
        """Note that the client has disconnected, or that the stream was reset."""
        self._is_gone = True
        if self._end_of_client is not None:
            self._end_of_client.set()
        if self.body is not None:
            self.body.lose()
        self.wake()
        self._end()

    def wake(self) -> None:
        """Let it see that a window or the transport has changed."""
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    # The response

    def respond(self, status: int, headers: EncodedHeaders, body: bytes) -> None:
        if self._is_gone:
            return
        self._write_head(status, headers, end=not (body and self._may_have_body(status)))
        if self._is_over:
            return
        size = len(body)
        if size <= self._outgoing.window(self._state) and self._outgoing.has_room():
            self._outgoing.reserve(self._state, size)
            self._write_data(memoryview(body), end=True)
        else:
            self._outgoing.connection.spawn(self._send_body(body, more=False), self)

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        self._write_head(status, headers, end=False)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        if not self._has_body:
            data = b""
        view = memoryview(data)
        self._waiting = len(view)
        while view:
            size = min(await self._open(), len(view))
            self._outgoing.reserve(self._state, size)
            self._write_data(view[:size], end=not more and size == len(view))
            view = view[size:]
            self._waiting -= size
            if size >= _LARGE_WRITE:
                self._outgoing.flush()
                await asyncio.sleep(0)
        self._promised = self._outgoing.promise(self._promised, 0)
        if not more and not self._is_over:
            self._write_data(view, end=True)

    async def _send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        outgoing = self._outgoing
        reading: tuple[int, asyncio.Future[bytearray]] | None = None
        try:
            while count or reading is not None:
                if reading is None:
                    size = min(await self._open(), count)
                    reading = self._read_ahead(file, offset, size)
                    offset, count = offset + size, count - size
                size, future = reading
                data = await future
                self._check()
                ahead = min(outgoing.window(self._state), count, CHUNK) if outgoing.has_room() else 0
                reading = self._read_ahead(file, offset, ahead) if ahead > 0 else None
                if ahead > 0:
                    offset, count = offset + ahead, count - ahead
                outgoing.write(data)
                outgoing.flush()
                self.file_bytes += size
                await asyncio.sleep(0)
                while not outgoing.has_room():
                    await self._wait()
        finally:
            if reading is not None:
                outgoing.reserve(self._state, -reading[0])

    def _read_ahead(self, file: IO[bytes], offset: int, size: int) -> tuple[int, asyncio.Future[bytearray]]:
        """Read a part of a file in a thread; its bytes are counted as sent."""
        self._outgoing.reserve(self._state, size)
        frame_size = self._outgoing.h2.max_outbound_frame_size
        return size, _THREADS.run(frames.file_frames, file, offset, size, self.stream_id, frame_size)

    async def _send_raw(self, data: bytes) -> None:
        self._outgoing.write(data)
        self._outgoing.flush()

    async def _cut(self, end: End, code: int) -> None:
        connection = self._outgoing.connection
        if end is End.RESET_STREAM:
            if not self._is_over:
                self._reset(code)
            return
        if end is End.GOAWAY:
            # This stream was not processed, but those before it were (RFC 9113, section 6.8).
            self._outgoing.write(frames.goaway(max(0, self.stream_id - 2), code))
        self._outgoing.flush()
        await cut(connection, end)

    async def room(self) -> int:
        self._promised = self._outgoing.promise(self._promised, await self._open())
        return self._promised

    def fail(self) -> None:
        if self._is_gone or self._is_over:
            return
        if self.has_started:
            self._reset(ErrorCodes.INTERNAL_ERROR)
        else:
            self.respond(500, ((b"content-length", b"0"),), b"")

    # What others see of it

    @property
    def gone(self) -> asyncio.Event:
        if self._end_of_client is None:
            self._end_of_client = asyncio.Event()
            if self._is_gone:
                self._end_of_client.set()
        return self._end_of_client

    @property
    def is_gone(self) -> bool:
        return self._is_gone

    @property
    def is_connection_cut(self) -> bool:
        return self._outgoing.connection.is_cut

    @property
    def unsent(self) -> int:
        return self._waiting + self._outgoing.connection.unsent

    def abort(self) -> None:
        self._outgoing.connection.abort()

    # How it is sent

    def _may_have_body(self, status: int) -> bool:
        return self.scope["method"] != "HEAD" and status not in (204, 304)

    def _write_head(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, end: bool) -> None:
        self.has_started = True
        self._has_body = self._may_have_body(status)
        block = self._outgoing.block(status, headers)
        frame_size = self._outgoing.h2.max_outbound_frame_size
        self._outgoing.write(frames.header_frames(block, self.stream_id, frame_size, end=end))
        if end:
            self._end_response()

    def _write_data(self, data: memoryview, *, end: bool) -> None:
        frame_size = self._outgoing.h2.max_outbound_frame_size
        self._outgoing.write(*frames.data_frames(self.stream_id, data, frame_size, end=end))
        if end:
            self._end_response()

    def _end_response(self) -> None:
        """Note that END_STREAM was sent. The rest of the request's body is still read, and dropped.

        RST_STREAM with NO_ERROR (RFC 9113, section 8.1) would make curl lose the response.
        """
        self._state.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        self._is_over = True
        self._promised = self._outgoing.promise(self._promised, 0)
        if self.is_half_closed:
            self._outgoing.remove(self)
        elif self.body is not None:
            self.body.drop()

    def _reset(self, code: int) -> None:
        self._outgoing.reset(self.stream_id, code)
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._promised = self._outgoing.promise(self._promised, 0)
        self._outgoing.remove(self)

    def _check(self) -> None:
        if self._is_gone:
            raise ClientDisconnectedError

    async def _open(self) -> int:
        """Return how many bytes can be sent now, at most `CHUNK`; wait while there are none."""
        while True:
            self._check()
            size = min(self._outgoing.window(self._state), CHUNK)
            if size > 0 and self._outgoing.has_room():
                return size
            await self._wait()

    async def _wait(self) -> None:
        """Wait until a window or the transport changes. Raise `ClientDisconnectedError`."""
        if self._opened is None or self._opened.done():
            self._opened = asyncio.get_running_loop().create_future()
        await self._opened
        self._check()
