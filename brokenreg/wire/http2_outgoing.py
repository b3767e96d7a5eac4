"""`Outgoing`: what a connection of HTTP/2 sends, in order, and what it may send: flow control and bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream

from brokenreg.wire import http2_frames as frames
from brokenreg.wire.connection import Connection

MOST_STREAMS = 100
"""Requests that may be in flight on one connection."""

STREAM_WINDOW = 2 * 1024 * 1024
"""Bytes of one request's body that may wait in memory."""

MAX_HEAD = 64 * 1024
"""Bytes of a request's head, decoded as RFC 9113, section 6.5.2 counts them, or encoded."""

_MOST_WAITING = 4 * 1024 * 1024
"""Bytes of bodies that may wait in memory for one connection, for all of its streams together."""

_LEAST_ROOM = 16 * 1024
"""Bytes that each stream may produce even if the others have used up what may wait."""

_USEFUL = 1024
"""Bytes of a body that make up for one frame that costs the client nothing."""

Piece = bytes | bytearray | memoryview


class _H2(H2Connection):
    MAX_CLOSED_STREAMS = 1000


def h2_connection() -> H2Connection:
    """Return a connection of the h2 library with our settings."""
    config = H2Configuration(client_side=False, header_encoding=None, validate_inbound_headers=False)
    h2 = _H2(config)
    settings = {
        SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
        SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
    }
    h2.local_settings = Settings(client=False, initial_values=settings)
    return h2


class Outgoing:
    """Collects the frames of one connection, so that those of one turn of the event loop share a write.

    `end` is called when a stream has ended in both directions.
    """

    def __init__(
        self,
        connection: Connection,
        h2: H2Connection,
        floods: frames.FloodCounter,
        end: Callable[[int], object],
    ) -> None:
        self.connection = connection
        self.h2 = h2
        self.end = end
        self.is_held = False
        """True while frames are collected that are all sent together."""
        self.is_table_changed = True
        """True if the next header block must say that it uses no dynamic table (RFC 7541, section 4.2)."""
        self._floods = floods
        self._frames: list[Piece] = []
        self._promised = 0

    def write(self, *pieces: Piece) -> None:
        """Send frames with what else is sent in this turn of the event loop."""
        self._frames += pieces
        if not self.is_held:
            self.is_held = True
            self.connection.loop.call_soon(self.flush)

    def collect(self) -> None:
        """Send what the h2 library has to send."""
        if data := self.h2.data_to_send():
            self.write(data)

    def flush(self) -> None:
        """Give the transport what was collected."""
        self.is_held = False
        pieces, self._frames = self._frames, []
        if pieces and not self.connection.gone.is_set():
            self.connection.transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def write_head(
        self, stream_id: int, status: int, headers: Sequence[tuple[bytes, bytes]], *, end: bool
    ) -> None:
        """Send the head of a response."""
        block = frames.header_block(status, headers)
        if self.is_table_changed:
            self.is_table_changed = False
            block = frames.NO_TABLE + block
        self.write(frames.header_frames(block, stream_id, self.h2.max_outbound_frame_size, end=end))

    def write_data(self, stream_id: int, data: memoryview, *, end: bool) -> None:
        """Send a part of a body, which was reserved before."""
        self.write(*frames.data_frames(stream_id, data, self.h2.max_outbound_frame_size, end=end))

    def reset(self, stream_id: int, code: int) -> None:
        """Reset a stream."""
        self.h2.reset_stream(stream_id, code)
        self.collect()

    @property
    def has_room(self) -> bool:
        """Whether the transport accepts more."""
        return self.connection.has_room

    def window(self, state: H2Stream) -> int:
        """Return how many bytes of a body flow control allows a stream to send now; can be negative."""
        return min(self.h2.outbound_flow_control_window, state.outbound_flow_control_window)

    def reserve(self, state: H2Stream, size: int) -> None:
        """Count bytes as sent; a negative size gives back what was counted and is not sent."""
        self.h2.outbound_flow_control_window -= size
        state.outbound_flow_control_window -= size
        if size > 0:
            self._floods.make_up(size / _USEFUL)

    def promise(self, before: int, size: int) -> int:
        """Return how many of `size` bytes may be produced, in place of those promised before.

        What is produced may have to wait: flow control would let a stream that is held stop all others.
        """
        left = _MOST_WAITING - MOST_STREAMS * _LEAST_ROOM - self._promised + before
        promised = min(size, max(_LEAST_ROOM, left))
        self._promised += promised - before
        return promised
