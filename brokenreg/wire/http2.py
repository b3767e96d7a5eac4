"""`HTTP2`: one connection that speaks HTTP/2 (RFC 9113): what it receives, and how it ends.

The h2 library reads header blocks and keeps the state of the connection and its streams. DATA frames pass by
it in both directions, which is twice as fast; so do GOAWAY frames, after which it would do nothing more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.settings import SettingCodes, Settings

from brokenreg.wire import http2_frames as frames
from brokenreg.wire.asgi import ZERO_COPY, Scope, header
from brokenreg.wire.connection import Connection
from brokenreg.wire.http2_stream import MOST_STREAMS, STREAM_WINDOW, HTTP2Stream, Outgoing
from brokenreg.wire.stream import H2

logger = logging.getLogger(__name__)

_WINDOW = 8 * 1024 * 1024
"""Bytes of request bodies that may wait in memory for all streams together."""

_MOST_HEADERS, _MOST_FIELDS = 64 * 1024, 200
_TURN = 0.002
"""Seconds that frames are handled before other connections get a turn."""

_MOST_UNREAD = 1024 * 1024
"""Bytes that a client leaves unread before we read no more requests from it."""

_IDLE, _LINGER = 75.0, 2.0
_COSTS = {frames.RST_STREAM: 5.0, frames.SETTINGS: 5.0, frames.HEADERS: 0.0}
_MALFORMED_COST = 20.0
_EXTENSIONS: dict[str, dict[Any, Any]] = {ZERO_COPY: {}}


class _Library(H2Connection):
    MAX_CLOSED_STREAMS = 1000


class HTTP2(Connection):
    """A connection that speaks HTTP/2."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._h2 = _Library(H2Configuration(client_side=False, header_encoding=None))
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: _MOST_HEADERS,
            },
        )
        self._floods = frames.FloodCounter()
        self.outgoing = Outgoing(self, self._h2, self._floods)
        self._streams = self.outgoing.streams
        self._input = b""
        self._is_greeted = False
        self._is_closing = False
        self._is_reading_on = False
        self._block = 0
        """How many bytes of a header block have come, whose end has not."""
        self._window = _WINDOW
        self._credit = 0
        self._fed: HTTP2Stream | None = None
        self._parts: list[memoryview] = []
        self._used = self.loop.time()
        self._idle = self.loop.call_later(_IDLE, self._check_idle)
        self._h2.initiate_connection()
        self.outgoing.collect()
        self.outgoing.write(frames.window_update(0, _WINDOW - 65535))

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        self._input = self._input + data if self._input else data
        if not self._is_reading_on:
            self._read()

    def eof_received(self) -> bool:
        self.note_disconnect()
        return False

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._is_reading_on:
            self.transport.resume_reading()
        self.outgoing.wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._idle.cancel()
        super().connection_lost(error)

    def note_disconnect(self) -> None:
        super().note_disconnect()
        for stream in list(self._streams.values()):
            stream.lose()

    # Reading

    def _read(self) -> None:
        """Handle what has arrived, for a bounded time; the next turn of the loop handles the rest."""
        self._is_reading_on = False
        if self._is_closing or self.is_cut:
            self._input = b""
            return
        self.outgoing.is_held = True
        try:
            is_left = self._handle()
        except ProtocolError as error:
            self._h2.clear_outbound_data_buffer()
            self._fail(error.error_code)
        else:
            self.outgoing.flush()
            self._pace(is_left=is_left)

    def _pace(self, *, is_left: bool) -> None:
        """Pause reading while something is left to handle, or while the client does not read."""
        if is_left:
            self._is_reading_on = True
            self.transport.pause_reading()
            self.loop.call_soon(self._read)
        elif self.transport.get_write_buffer_size() > _MOST_UNREAD:
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _handle(self) -> bool:
        """Handle frames. Return whether some are left."""
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
        while end - at >= 9:
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
            following = at + 9 + (high << 8 | low)
            if following - at > frames.FRAME_SIZE + 9:
                raise ProtocolError
            if following > end:
                break
            if kind == frames.DATA:
                self._receive_data(flags, stream_id & 0x7FFFFFFF, view[at + 9 : following])
            else:
                self._feed()
                self._receive(kind, flags, view[at:following])
            at = following
            if time.monotonic() > until:
                is_left = end - at >= 9
                break
        self._feed()
        self._input = data[at:]
        return is_left

    def _receive_data(self, flags: int, stream_id: int, data: memoryview) -> None:
        """Take a DATA frame (RFC 9113, section 6.1)."""
        size = len(data)
        self._window -= size
        if self._window < 0 or self._block or not 0 < stream_id <= self._h2.highest_inbound_stream_id:
            raise ProtocolError
        if flags & frames.PADDED:
            if not size or data[0] >= size:
                raise ProtocolError
            data = data[1 : size - data[0]]
            self._take(size - len(data))
        end = flags & frames.END_STREAM
        if len(data) > 1024:
            self._floods.make_up(len(data) / 1024)
        else:
            self._floods.count(1.0 if not (data or end) else 0.1)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._take(len(data))  # the response has ended; the bytes still count for the connection's window
        elif stream.is_half_closed:
            self._take(len(data))
            self._reset(stream, ErrorCodes.STREAM_CLOSED)
        else:
            if stream is not self._fed:
                self._feed()
                self._fed = stream
            if data:
                self._parts.append(data)
            if end:
                stream.note_end_of_data()
                self._feed(end=True)

    def _feed(self, *, end: bool = False) -> None:
        """Give a stream the DATA that has come for it."""
        stream, parts = self._fed, self._parts
        if stream is None:
            return
        self._fed, self._parts = None, []
        data = b"".join(parts)
        self._used = self.loop.time()
        if not stream.feed(data, end=end):
            self._take(len(data))
            self._reset(stream, ErrorCodes.PROTOCOL_ERROR)

    def _take(self, size: int) -> None:
        """Count bytes of DATA that do not wait in memory any more, and let the client send as many again."""
        self._credit += size
        if self._credit >= _WINDOW // 4:
            self._window += self._credit
            self.outgoing.write(frames.window_update(0, self._credit))
            self._credit = 0

    def _receive(self, kind: int, flags: int, frame: memoryview) -> None:
        """Take a frame that is not DATA."""
        self._floods.count(_COSTS.get(kind, 1.0))
        if kind in (frames.HEADERS, frames.CONTINUATION):
            self._block += len(frame)
            if self._block > _MOST_HEADERS:
                raise DenialOfServiceError
            if flags & frames.END_HEADERS:
                self._block = 0
        elif kind == frames.GOAWAY:
            self._receive_goaway(frame)
            return
        events = self._h2.receive_data(frame)
        self.outgoing.collect()
        for event in events:
            if isinstance(event, RequestReceived):
                self._begin(event)
            elif isinstance(event, WindowUpdated):
                if not event.stream_id:
                    self.outgoing.wake()
                elif (stream := self._streams.get(event.stream_id)) is not None:
                    stream.wake()
            elif isinstance(event, StreamEnded):
                self._end_body(event.stream_id)
            elif isinstance(event, StreamReset):
                if (stream := self._streams.get(event.stream_id or 0)) is not None:
                    stream.lose()
            elif isinstance(event, RemoteSettingsChanged):
                self.outgoing.is_table_changed = True
                self.outgoing.wake()

    def _receive_goaway(self, frame: memoryview) -> None:
        """End after the requests in flight, or now if the client reports an error (RFC 9113, section 6.8)."""
        if any(frame[13:17]):
            self._close()
        else:
            self.finish()

    def _begin(self, event: RequestReceived) -> None:
        """Take a request."""
        stream_id = event.stream_id
        ends = event.stream_ended is not None
        if self.outgoing.is_draining:
            self.outgoing.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self._used = self.loop.time()
        scope = self._scope(event.headers or ())
        length = header(scope, b"content-length")
        if not scope["method"] or (ends and length is not None and int(length)):
            self._floods.count(_MALFORMED_COST)
            logger.warning(
                "%s sent a malformed HTTP/2 request, and its stream was reset", self.inbound.client
            )
            self.outgoing.reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        stream = HTTP2Stream(self.outgoing, stream_id, scope, length, ends=ends, taken=self._take)
        self._streams[stream_id] = stream
        if len(scope["headers"]) > _MOST_FIELDS:
            self._floods.count(_MALFORMED_COST)
            stream.respond(431, ((b"content-length", b"0"),), b"")
        else:
            self.start(stream)

    def _scope(self, headers: Iterable[tuple[bytes, bytes]]) -> Scope:
        """Return the scope of a request. Its method is empty if it is malformed (RFC 9113, section 8.1.1)."""
        pseudo: dict[bytes, bytes] = {}
        fields: list[tuple[bytes, bytes]] = [(b"host", b"")]
        for name, value in headers:
            if name.startswith(b":") or name == b"host":
                pseudo[name] = value
            else:
                fields.append((name, value))
        fields[0] = (b"host", pseudo.get(b":authority", pseudo.get(b"host", b"")))
        method, target = pseudo[b":method"], pseudo.get(b":path", b"")
        is_readable = method.isascii() and target.isascii() and target and method != b"CONNECT"
        raw_path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "http_version": H2,
            "method": method.decode("ascii").upper() if is_readable else "",
            "scheme": self.scheme,
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": fields,
            "client": self.client,
            "server": self.server,
            "extensions": _EXTENSIONS,
        }

    def _end_body(self, stream_id: int) -> None:
        """Note the end of a body that ends with trailers."""
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.is_half_closed and not stream.feed(b"", end=True):
            self._reset(stream, ErrorCodes.PROTOCOL_ERROR)

    def _reset(self, stream: HTTP2Stream, code: ErrorCodes) -> None:
        """Reset a stream on which the client has broken the protocol."""
        self._floods.count(_MALFORMED_COST)
        self.outgoing.reset(stream.stream_id, code)
        stream.lose()

    # How it ends

    def finish(self) -> None:
        if self.outgoing.is_draining:
            return
        self.outgoing.is_draining = True
        self.outgoing.write(frames.goaway(self._h2.highest_inbound_stream_id, ErrorCodes.NO_ERROR))
        if not self._streams:
            self._close()

    def _fail(self, code: int) -> None:
        """End the connection because of an error of the client."""
        self.outgoing.write(frames.goaway(self._h2.highest_inbound_stream_id, code))
        self._close()

    def _close(self) -> None:
        """Close the connection; its client has a moment to receive what was sent."""
        self._is_closing = True
        self.outgoing.flush()
        self.transport.close()
        self.loop.call_later(_LINGER, self.transport.abort)
        self.note_disconnect()

    def _check_idle(self) -> None:
        """Close the connection if there was no request for a while."""
        left = _IDLE if self._streams else self._used + _IDLE - self.loop.time()
        if left > 0:
            self._idle = self.loop.call_later(left, self._check_idle)
        else:
            self._fail(ErrorCodes.NO_ERROR)
