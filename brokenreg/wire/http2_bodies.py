"""`IncomingBodies`: the DATA frames that one connection of HTTP/2 receives (RFC 9113, section 6.1)."""

from __future__ import annotations

from collections.abc import Mapping

from h2.errors import ErrorCodes
from h2.exceptions import FlowControlError, ProtocolError

from brokenreg.wire import http2_frames as frames
from brokenreg.wire.http2_outgoing import Outgoing
from brokenreg.wire.http2_stream import HTTP2Stream

WINDOW = 8 * 1024 * 1024
"""Bytes of request bodies that may wait in memory for one connection, for all of its streams together."""

_USEFUL = 1024
"""Bytes that make up for one frame that costs the client nothing."""


class IncomingBodies:
    """Gives streams their DATA: all that has come in one read together. Counts the connection's window."""

    def __init__(
        self, outgoing: Outgoing, streams: Mapping[int, HTTP2Stream], floods: frames.FloodCounter
    ) -> None:
        self._outgoing = outgoing
        self._streams = streams
        self._floods = floods
        self._window = WINDOW
        self._credit = 0
        self._stream: HTTP2Stream | None = None
        self._parts: list[memoryview] = []
        """The DATA that has come for that stream and was not given to it yet."""

    def receive(self, flags: int, stream_id: int, data: memoryview) -> None:
        """Take a DATA frame. Raise `ProtocolError`."""
        size = len(data)
        self._window -= size
        if self._window < 0:
            raise FlowControlError
        if not 0 < stream_id <= self._outgoing.h2.highest_inbound_stream_id:
            raise ProtocolError
        if flags & frames.PADDED:
            if not size or data[0] >= size:
                raise ProtocolError
            data = data[1 : size - data[0]]
            self.take(size - len(data))
        end = flags & frames.END_STREAM
        if not (data or end):
            self._floods.count(1.0)
        stream = self._streams.get(stream_id)
        if stream is None:  # it was reset; the bytes still count for the connection's window
            self.take(len(data))
            self._floods.count(0.1)
        elif stream.is_read:
            self.take(len(data))
            self._break(stream, ErrorCodes.STREAM_CLOSED)
        else:
            if stream is not self._stream:
                self.flush()
                self._stream = stream
            self._parts.append(data)
            if end:
                stream.end_data()
                self._feed(stream, end=True)

    def flush(self) -> None:
        """Give a stream what has come for it."""
        if self._stream is not None:
            self._feed(self._stream, end=False)

    def end(self, stream: HTTP2Stream) -> None:
        """Note the end of a body that came with trailers."""
        self._feed(stream, end=True)

    def take(self, size: int) -> None:
        """Note that DATA waits in memory no longer, and let the client send as many bytes again."""
        self._credit += size
        if self._credit >= WINDOW // 4:
            self._window += self._credit
            self._outgoing.write(frames.window_update(0, self._credit))
            self._credit = 0

    def _feed(self, stream: HTTP2Stream, *, end: bool) -> None:
        data = b"".join(self._parts)
        self._stream, self._parts = None, []
        if not stream.feed(data, end=end):
            self.take(len(data))
            self._break(stream, ErrorCodes.PROTOCOL_ERROR)
        elif data:
            self._floods.make_up(len(data) / _USEFUL)

    def _break(self, stream: HTTP2Stream, code: ErrorCodes) -> None:
        """Reset a stream on which the client has broken the protocol."""
        self._floods.count(frames.ERROR_COST)
        self._outgoing.reset(stream.stream_id, code)
        stream.lose()
