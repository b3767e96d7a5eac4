"""`HTTP2Stream`: one request over HTTP/2, and the way of its response."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import IO

from h2.errors import ErrorCodes
from h2.stream import StreamInputs

from brokenreg.concurrency import ThreadPool
from brokenreg.http.asgi import ClientDisconnectedError, EncodedHeaders, End, Scope
from brokenreg.wire import http2_frames as frames
from brokenreg.wire.http2_outgoing import STREAM_WINDOW, Outgoing
from brokenreg.wire.request_body import RequestBody
from brokenreg.wire.stream import CHUNK, Stream

_THREADS = ThreadPool("http2-files", max(2, os.cpu_count() or 1))
_BODILESS = ("GET", "HEAD", "DELETE")
"""Methods of requests that seldom have a body."""

_LARGE_WRITE = 32 * 1024
"""Bytes after which the event loop gets a turn."""


class HTTP2Stream(Stream):
    """One stream of HTTP/2. The h2 library keeps its state, but does not see its DATA frames."""

    __slots__ = (
        "_credit", "_end_of_client", "_expected", "_has_body", "_is_gone", "_is_over", "_opened", "_outgoing",
        "_promised", "_received", "_state", "_taken", "_waiting", "stream_id",
    )  # fmt: skip

    def __init__(
        self,
        outgoing: Outgoing,
        stream_id: int,
        scope: Scope,
        *,
        length: int | None,
        ends: bool,
        taken: Callable[[int], None],
    ) -> None:
        """`length` is the Content-Length; `ends` says that no body follows."""
        body = None
        if not ends:
            is_empty = scope["method"] in _BODILESS if length is None else not length
            body = RequestBody(self._take, is_empty=is_empty)
        super().__init__(outgoing.connection, scope, body)
        self.stream_id = stream_id
        self._outgoing = outgoing
        self._taken = taken
        self._state = outgoing.h2.streams[stream_id]
        self._expected = length
        self._received = 0
        self._credit = 0
        self._has_body = True
        self._is_gone = False
        self._is_over = False
        """True if END_STREAM or RST_STREAM was sent."""
        self._end_of_client: asyncio.Event | None = None
        self._opened: asyncio.Future[None] | None = None
        self._promised = 0
        self._waiting = 0

    # For the connection

    def end_data(self) -> None:
        """Let the h2 library know of the END_STREAM of a DATA frame."""
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
            self._outgoing.end(self.stream_id)
        return True

    def _take(self, size: int) -> None:
        """Let the client send as many bytes again as were taken of the body."""
        self._taken(size)
        self._credit += size
        if self._credit >= STREAM_WINDOW // 4 and not (self.is_read or self._is_gone):
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
        size = len(body) if self._may_have_body(status) else 0
        self._write_head(status, headers, end=not size)
        if not size:
            return
        if size <= self._outgoing.window(self._state) and self._outgoing.has_room:
            self._outgoing.reserve(self._state, size)
            self._write_data(memoryview(body), end=True)
        else:
            self._waiting = size
            self.spawn(self._send_body(body, more=False))

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        self._check()
        self._write_head(status, headers, end=False)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        self._check()
        view = memoryview(data if self._has_body else b"")
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
        """Send a part of a file. A thread reads only what is not in memory: it costs half as much again."""
        outgoing, end = self._outgoing, offset + (count if self._has_body else 0)
        while offset < end:
            size = min(await self._open(), end - offset)
            outgoing.reserve(self._state, size)
            piece = frames.FileFrames(file, offset, size, self.stream_id, outgoing.h2.max_outbound_frame_size)
            if not piece.read_cached():
                await self._read(piece, size)
            outgoing.write(piece.data)
            outgoing.flush()
            offset += size
            self.file_bytes += size
            await asyncio.sleep(0)
        while not outgoing.has_room:
            await self._wait()

    async def _read(self, piece: frames.FileFrames, size: int) -> None:
        """Let a thread read a part of a file, whose bytes were reserved."""
        try:
            await _THREADS.run(piece.read)
            self._check()
        except BaseException:
            self._outgoing.reserve(self._state, -size)
            raise

    async def _send_raw(self, data: bytes) -> None:
        self._outgoing.write(data)
        self._outgoing.flush()

    async def _cut(self, end: End, code: int) -> None:
        if end is End.RESET_STREAM:
            if not self._is_over:
                self._reset(code)
            return
        if end is End.GOAWAY:
            # This stream was not processed, but those before it were (RFC 9113, section 6.8).
            self._outgoing.write(frames.goaway(max(0, self.stream_id - 2), code))
        self._outgoing.flush()
        await super()._cut(end, code)

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
    def unsent(self) -> int:
        return self._waiting + self.connection.unsent

    # How it is sent

    def _may_have_body(self, status: int) -> bool:
        return status not in (204, 304) and self.scope["method"] != "HEAD"

    def _write_head(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, end: bool) -> None:
        self.has_started = True
        self._has_body = self._may_have_body(status)
        self._outgoing.write_head(self.stream_id, status, headers, end=end)
        if end:
            self._end_response()

    def _write_data(self, data: memoryview, *, end: bool) -> None:
        self._outgoing.write_data(self.stream_id, data, end=end)
        if end:
            self._end_response()

    def _end_response(self) -> None:
        """Note that END_STREAM was sent. The rest of the request's body is still read, and dropped.

        RST_STREAM with NO_ERROR (RFC 9113, section 8.1) would make curl lose the response.
        """
        self._state.state_machine.process_input(StreamInputs.SEND_END_STREAM)
        self._is_over = True
        self._promised = self._outgoing.promise(self._promised, 0)
        if self.body is None or self.is_read:
            self._outgoing.end(self.stream_id)
        else:
            self.body.drop()

    def _reset(self, code: int) -> None:
        self._outgoing.reset(self.stream_id, code)
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._promised = self._outgoing.promise(self._promised, 0)
        self._outgoing.end(self.stream_id)

    def _check(self) -> None:
        if self._is_gone or self._is_over:
            raise ClientDisconnectedError

    async def _open(self) -> int:
        """Return how many bytes can be sent now, at most `CHUNK`; wait while there are none."""
        while True:
            self._check()
            size = min(self._outgoing.window(self._state), CHUNK)
            if size > 0 and self._outgoing.has_room:
                return size
            await self._wait()

    async def _wait(self) -> None:
        """Wait until a window or the transport changes. Raise `ClientDisconnectedError`."""
        if self._opened is None or self._opened.done():
            self._opened = asyncio.get_running_loop().create_future()
        await self._opened
        self._check()
