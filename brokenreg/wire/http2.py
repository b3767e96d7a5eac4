"""`HTTP2`: one HTTP/2 connection (RFC 9113). It handles received frames, and the end of the connection.

The h2 library decodes header blocks and keeps the state of the connection and of its streams. DATA frames
bypass it in both directions, which takes half the time. GOAWAY also bypasses it, because it would stop then.
"""

from __future__ import annotations

import asyncio
import logging
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import DenialOfServiceError, FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings

from brokenreg.http import http2_frames as frames
from brokenreg.http.http1_heads import MAX_FIELDS, MAX_HEAD
from brokenreg.listening.connection_events import MalformedRequest
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.cutting import unacknowledged
from brokenreg.wire.http2_stream import STREAM_WINDOW, WINDOW, HTTP2Stream, SharedConnection

logger = logging.getLogger(__name__)

_MOST_STREAMS = 100
"""Maximum number of requests in flight on one connection."""

_TURN, _MOST_STARTED = 0.002, 4
"""Seconds of handling frames, and number of tasks that they start, before other tasks run."""

_MOST_UNREAD = 1024 * 1024
"""Maximum number of bytes that a client may leave unread. Beyond it, we read no more requests from it."""

_IDLE, _LINGER, _POLL, _REQUEST_USE = 75.0, 2.0, 0.02, 4.0
_COSTS = {frames.HEADERS: 0.0, frames.RST_STREAM: 5.0, frames.SETTINGS: 5.0, frames.CONTINUATION: 20.0}
"""The costs of frames for `FloodCounter`. Other frames cost 1."""


class _H2(H2Connection):
    MAX_CLOSED_STREAMS = 1000


def _h2_connection() -> H2Connection:
    h2 = _H2(H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False))
    limits = {
        SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS,
        SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
    }
    h2.local_settings = Settings(client=False, initial_values=limits)
    return h2


class HTTP2(SharedConnection):
    """One HTTP/2 connection."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(_h2_connection(), inbound, transport)
        self.application = application
        self._input = b""
        self._preface_left = len(frames.PREFACE)
        self._block = 0
        """The number of received bytes of a header block that has not ended."""
        self._is_reading_on = False
        """True if the rest of the input is handled in the next iteration of the event loop."""
        self._is_draining = False
        """True if no more requests are accepted. The connection is closed after those in flight."""
        self._last_stream_id = 0
        self._used = self.loop.time()
        self._timer = self.loop.call_later(_IDLE, self._check_idle)
        self.h2.initiate_connection()
        self.collect()
        self.write(frames.window_update(0, WINDOW - 65535))

    # Called by asyncio

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
        for stream in list(self.streams.values()):
            stream.lose()

    # Received frames

    def _read(self) -> None:
        """Handle received frames for a limited time. The next iteration of the loop handles the rest."""
        self._is_reading_on = False
        if self.gone.is_set():
            self._input = b""
            return
        self.is_held = True
        try:
            self._is_reading_on = self._handle_input()
        except ProtocolError as error:
            self.h2.clear_outbound_data_buffer()
            self._close(error.error_code)
            return
        self.flush()
        if self._is_reading_on:
            self.transport.pause_reading()
            self.loop.call_soon(self._read)
        elif self.unsent > _MOST_UNREAD:
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _handle_input(self) -> bool:
        """Handle frames. Return whether some are left. Raise `ProtocolError`."""
        view, end = memoryview(self._input), len(self._input)
        at = min(self._preface_left, end)
        if at:
            self.h2.receive_data(view[:at])
            self._preface_left -= at
        until, most_tasks = time.monotonic() + _TURN, len(self.tasks) + _MOST_STARTED
        is_late = False
        while end - at >= frames.FRAME_HEAD.size and not is_late:
            high, low, kind, flags, stream_id = frames.FRAME_HEAD.unpack_from(view, at)
            begin, length = at + frames.FRAME_HEAD.size, high << 8 | low
            if length > frames.FRAME_SIZE:
                raise FrameTooLargeError
            if begin + length > end:
                break
            if kind == frames.HEADERS and len(self.tasks) >= most_tasks:
                is_late = True
                break
            if kind == frames.DATA:
                self._receive_data(flags, stream_id & 0x7FFFFFFF, view[begin : begin + length])
            else:
                self._receive(kind, flags, view[at : begin + length])
            at, is_late = begin + length, time.monotonic() > until
        self._input = self._input[at:]
        return is_late and end - at >= frames.FRAME_HEAD.size

    def _receive_data(self, flags: int, stream_id: int, data: memoryview) -> None:
        """Handle a DATA frame (RFC 9113, section 6.1)."""
        size = len(data)
        self.window.window_consumed(size)
        if self._block or not 0 < stream_id <= self.h2.highest_inbound_stream_id:
            raise ProtocolError
        if flags & frames.PADDED:
            if not size or data[0] >= size:
                raise ProtocolError
            data = data[1 : size - data[0]]
        end = bool(flags & frames.END_STREAM)
        if not (data or end):
            self.floods.count(1.0)
        stream = self.streams.get(stream_id)
        if stream is None:  # it was reset, but the bytes count for the connection's window
            self.take(size)
            self.floods.count(0.1)
        else:
            stream.receive_data(data, size, end=end)

    def _receive(self, kind: int, flags: int, frame: memoryview) -> None:
        """Handle a frame other than DATA."""
        self.floods.count(_COSTS.get(kind, 1.0))
        if kind in (frames.HEADERS, frames.CONTINUATION):
            self._block += len(frame)
            if self._block > MAX_HEAD:
                raise DenialOfServiceError
            if flags & frames.END_HEADERS:
                self._block = 0
        elif kind == frames.GOAWAY:
            if any(frame[13:17]):  # the client reports an error
                self.note_disconnect()
                self.transport.abort()
            else:  # it still receives responses (RFC 9113, section 6.8)
                self.finish()
            return
        events = self.h2.receive_data(frame)
        self.collect()
        for event in events:
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)
        elif isinstance(event, RemoteSettingsChanged):
            self.is_table_changed = True
            self._wake()
        elif isinstance(event, WindowUpdated | StreamEnded | StreamReset):
            stream = self.streams.get(event.stream_id or 0)
            if stream is None:
                if not event.stream_id:
                    self._wake()
            elif isinstance(event, WindowUpdated):
                stream.news.set()
            elif isinstance(event, StreamReset):
                stream.lose()
            else:
                stream.end_request()

    def _begin(self, event: RequestReceived) -> None:
        """Begin a request."""
        if self._is_draining:
            self.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._last_stream_id = event.stream_id
        self._used = self.loop.time()
        ends = event.stream_ended is not None
        try:
            head, length = frames.read_head(event.headers or (), ends=ends)
        except frames.MalformedError as error:
            self._report(str(error))
            self.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)  # RFC 9113, section 8.1.1
            return
        stream = HTTP2Stream(self, event.stream_id, {**self.scope, **head}, length=length, ends=ends)
        self.streams[event.stream_id] = stream
        if len(head["headers"]) > MAX_FIELDS:
            self._report(f"{len(head['headers'])} header fields")
            stream.respond(431, ((b"content-length", b"0"),), b"")
        else:
            self.floods.credit(_REQUEST_USE)
            stream.start(self.application.answer)

    def _report(self, reason: str) -> None:
        """Report a refused request: for its connection if that has no other request, or else in the log."""
        self.floods.count(frames.ERROR_COST)
        if self.inbound.has_request:
            logger.warning("malformed HTTP/2 request from %s: %s", self.inbound.client, reason)
        else:
            self.inbound.add(MalformedRequest(reason))

    # How streams and the connection end

    def _wake(self) -> None:
        """Notify all streams that the windows or the transport have changed."""
        for stream in self.streams.values():
            stream.news.set()

    def end_stream(self, stream_id: int) -> None:
        self._used = self.loop.time()
        stream = self.streams.pop(stream_id, None)
        if stream is not None and stream.body is not None:
            stream.body.taken = self.take  # breaks a reference cycle between the two
        if self._is_draining or self.inbound.is_stopping:
            self.finish()

    def finish(self) -> None:
        if not (self.streams or self.gone.is_set()):
            self._close(ErrorCodes.NO_ERROR)
        elif not self._is_draining:  # so that the client sends its next requests on another connection
            self.write(frames.goaway(self._last_stream_id, ErrorCodes.NO_ERROR))
        self._is_draining = True

    def _close(self, code: int) -> None:
        """Send GOAWAY, and close the connection after the client has received everything.

        Otherwise, its frames (WINDOW_UPDATE) would cause a reset, and it would lose the rest.
        """
        self.write(frames.goaway(self._last_stream_id, code))
        self.flush()
        self.mute()
        self._close_later(unacknowledged(self), _LINGER)

    def _close_later(self, before: int, patience: float) -> None:
        """Close the connection, but wait while the client receives bytes at least every `_LINGER` seconds."""
        self._timer.cancel()
        left = unacknowledged(self)
        patience = patience - _POLL if left == before else _LINGER
        if left and patience > 0:
            self._timer = self.loop.call_later(_POLL, self._close_later, left, patience)
        else:
            self.close_transport()
            self._timer = self.loop.call_later(0 if left else _LINGER, self.transport.abort)

    def _check_idle(self) -> None:
        """Close the connection if it has had no request for a while."""
        left = _IDLE if self.streams else self._used + _IDLE - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._check_idle)
        else:
            self._close(ErrorCodes.NO_ERROR)
