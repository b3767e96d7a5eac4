"""`HTTP2`: one connection that speaks HTTP/2 (RFC 9113): what it receives, and how it ends.

The h2 library decodes header blocks and keeps the state of the connection and of its streams. DATA frames
pass by it in both directions, which takes half the time; so does GOAWAY, after which it would stop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from h2.errors import ErrorCodes
from h2.events import Event, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, ProtocolError

from brokenreg.http.asgi import ZERO_COPY
from brokenreg.listening.connection_events import MalformedRequest
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire import http2_frames as frames
from brokenreg.wire.application import Application
from brokenreg.wire.connection import Connection
from brokenreg.wire.http2_bodies import WINDOW, IncomingBodies
from brokenreg.wire.http2_head import MalformedError, RequestHead, read_head
from brokenreg.wire.http2_outgoing import MAX_HEAD, Outgoing, h2_connection
from brokenreg.wire.http2_stream import HTTP2Stream
from brokenreg.wire.stream import H2

logger = logging.getLogger(__name__)

_MAX_FIELDS = 200
_TURN = 0.002
"""Seconds for which frames are handled before other connections get a turn."""

_MOST_UNREAD = 1024 * 1024
"""Bytes that a client may leave unread before we read no more requests from it."""

_IDLE, _LINGER = 75.0, 2.0
_COSTS = {frames.HEADERS: 0.0, frames.RST_STREAM: 5.0, frames.SETTINGS: 5.0, frames.CONTINUATION: 20.0}
"""What frames cost as floods, other than 1."""

_REQUEST_USE = 4.0
_EXTENSIONS: dict[str, dict[Any, Any]] = {ZERO_COPY: {}}


class HTTP2(Connection):
    """A connection that speaks HTTP/2."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(inbound, transport)
        self.application = application
        self._h2 = h2_connection()
        self._floods = frames.FloodCounter()
        self._outgoing = Outgoing(self, self._h2, self._floods, self._end_stream)
        self._streams: dict[int, HTTP2Stream] = {}
        """The streams whose request or response has not ended."""
        self._bodies = IncomingBodies(self._outgoing, self._streams, self._floods)
        self._input = b""
        self._is_greeted = False
        self._is_reading_on = False
        """True if what is left of the input is handled in the next turn of the event loop."""
        self._is_draining = False
        """True if no more requests are accepted; the connection is closed after those in flight."""
        self._is_closing = False
        self._last_stream_id = 0
        self._block = 0
        """How many bytes have come of a header block that has not ended."""
        self._used = self.loop.time()
        self._timer = self.loop.call_later(_IDLE, self._check_idle)
        self._h2.initiate_connection()
        self._outgoing.collect()
        self._outgoing.write(frames.window_update(0, WINDOW - 65535))

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        self._input = self._input + data if self._input else data
        if not self._is_reading_on:
            self._read()

    def eof_received(self) -> bool:
        self.note_disconnect()
        if self.unsent:  # the client may never read it
            self.loop.call_later(_LINGER, self.transport.abort)
        return False

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._is_reading_on:
            self.transport.resume_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(error)

    def note_disconnect(self) -> None:
        super().note_disconnect()
        for stream in list(self._streams.values()):
            stream.lose()

    # What it receives

    def _read(self) -> None:
        """Handle what has arrived, for a bounded time; the next turn of the event loop handles the rest."""
        self._is_reading_on = False
        if self._is_closing or self.gone.is_set():
            self._input = b""
            return
        self._outgoing.is_held = True
        try:
            is_left = self._handle_input()
        except ProtocolError as error:
            self._h2.clear_outbound_data_buffer()
            self._close(error.error_code)
            return
        self._outgoing.flush()
        if is_left:
            self._is_reading_on = True
            self.transport.pause_reading()
            self.loop.call_soon(self._read)
        elif self.unsent > _MOST_UNREAD:
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _handle_input(self) -> bool:
        """Handle frames. Return whether some are left. Raise `ProtocolError`."""
        data, at = self._input, 0
        if not self._is_greeted:
            if len(data) < len(frames.PREFACE) and frames.PREFACE.startswith(data):
                return False
            at = len(frames.PREFACE)
            self._h2.receive_data(data[:at])
            self._is_greeted = True
        view, end = memoryview(data), len(data)
        until = time.monotonic() + _TURN
        is_left = False
        while end - at >= frames.HEAD.size and not is_left:
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
            length = high << 8 | low
            if length > frames.FRAME_SIZE:
                raise FrameTooLargeError
            begin, following = at + frames.HEAD.size, at + frames.HEAD.size + length
            if following > end:
                break
            if kind == frames.DATA:
                if self._block:
                    raise ProtocolError
                self._bodies.receive(flags, stream_id & 0x7FFFFFFF, view[begin:following])
            else:
                self._bodies.flush()
                self._receive(kind, flags, view[at:following])
            at = following
            is_left = time.monotonic() > until
        self._bodies.flush()
        self._input = data[at:]
        return is_left and len(self._input) >= frames.HEAD.size

    def _receive(self, kind: int, flags: int, frame: memoryview) -> None:
        """Take a frame that is not DATA."""
        self._floods.count(_COSTS.get(kind, 1.0))
        if kind in (frames.HEADERS, frames.CONTINUATION):
            self._block += len(frame)
            if self._block > MAX_HEAD:
                raise DenialOfServiceError
            if flags & frames.END_HEADERS:
                self._block = 0
        elif kind == frames.GOAWAY:
            self._receive_goaway(frame)
            return
        events = self._h2.receive_data(frame)
        self._outgoing.collect()
        for event in events:
            self._note(event)

    def _receive_goaway(self, frame: memoryview) -> None:
        """End after the requests in flight, or now if the client reports an error (RFC 9113, section 6.8)."""
        if any(frame[13:17]):
            self.note_disconnect()
            self.transport.abort()
        else:
            self.finish()

    def _note(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, WindowUpdated | StreamEnded | StreamReset):
            stream = self._streams.get(event.stream_id or 0)
            if stream is None:
                if event.stream_id == 0:
                    self._wake()
            elif isinstance(event, WindowUpdated):
                stream.wake()
            elif isinstance(event, StreamReset):
                stream.lose()
            elif not stream.is_read:
                self._bodies.end(stream)
        elif isinstance(event, RemoteSettingsChanged):
            self._outgoing.is_table_changed = True
            self._wake()

    def _begin(self, event: RequestReceived) -> None:
        """Take a request."""
        if self._is_draining:
            self._outgoing.reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._last_stream_id = event.stream_id
        self._used = self.loop.time()
        ends = event.stream_ended is not None
        try:
            head = read_head(event.headers or (), ends=ends)
        except MalformedError as error:
            self._report(str(error))
            self._outgoing.reset(event.stream_id, ErrorCodes.PROTOCOL_ERROR)  # RFC 9113, section 8.1.1
            return
        stream = HTTP2Stream(
            self._outgoing,
            event.stream_id,
            self._scope(head),
            length=head.length,
            ends=ends,
            taken=self._bodies.take,
        )
        self._streams[event.stream_id] = stream
        if len(head.fields) > _MAX_FIELDS:
            self._report(f"{len(head.fields)} header fields")
            stream.respond(431, ((b"content-length", b"0"),), b"")
        else:
            self._floods.make_up(_REQUEST_USE)
            stream.start(self.application.answer)

    def _scope(self, head: RequestHead) -> dict[str, Any]:
        return {
            "type": "http",
            "http_version": H2,
            "method": head.method,
            "scheme": self.scheme,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.fields,
            "client": self.client,
            "server": self.server,
            "extensions": _EXTENSIONS,
        }

    def _report(self, reason: str) -> None:
        """Report a request that was refused: on its connection if that has no other, else in the log."""
        self._floods.count(frames.ERROR_COST)
        if self.inbound.has_request:
            logger.warning("a malformed HTTP/2 request of %s: %s", self.inbound.client, reason)
        else:
            self.inbound.add(MalformedRequest(reason))

    # How streams and the connection end

    def _wake(self) -> None:
        """Let all streams see that the windows or the transport have changed."""
        for stream in self._streams.values():
            stream.wake()

    def _end_stream(self, stream_id: int) -> None:
        self._used = self.loop.time()
        self._streams.pop(stream_id, None)
        if self._is_draining and not self._streams and not self.gone.is_set():
            self._close(ErrorCodes.NO_ERROR)

    def finish(self) -> None:
        self._is_draining = True
        if not self._streams and not self.gone.is_set():
            self._close(ErrorCodes.NO_ERROR)

    def _close(self, code: int) -> None:
        """Send GOAWAY and close the connection; the client has a moment to receive what was sent."""
        self._is_closing = True
        self._outgoing.write(frames.goaway(self._last_stream_id, code))
        self._outgoing.flush()
        self.transport.close()
        self.loop.call_later(_LINGER, self.transport.abort)
        self.mute()

    def _check_idle(self) -> None:
        """Close the connection if there was no request for a while."""
        left = _IDLE if self._streams else self._used + _IDLE - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._check_idle)
        else:
            self._close(ErrorCodes.NO_ERROR)
