"""Frames of HTTP/2 as bytes (RFC 9113, section 4), header blocks (RFC 7541), and the count of floods."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import IO

from h2.exceptions import DenialOfServiceError
from hpack import Encoder

from brokenreg.http.dates import http_date

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBL")
"""The head of a frame: the length (24 bits), the type, the flags, the stream."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
FRAME_SIZE = 16384
"""The largest payload that we accept, which is the default (RFC 9113, section 6.5.2)."""

_CACHED = 256
"""The longest value of a header whose encoding is cached."""

_CACHED_ONLY = getattr(os, "RWF_NOWAIT", -1)
"""Flag of `preadv` on Linux; elsewhere, -1 fails."""

_MAX_PLACES = 256
"""Buffers that are read to in one call; systems allow 1,024."""

_CONNECTION_HEADERS = (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
_ENCODER = Encoder()
"""Encodes without its dynamic table, so that what it has encoded is valid on all connections."""

NO_TABLE = b"\x20"
"""What begins a header block and sets the size of the dynamic table to 0."""

_BURST, _LEAK = 1000.0, 100.0
"""What a client may send as fast as it can, and in one second after that; most frames cost 1."""

ERROR_COST = 20.0
"""What an error of the client costs that ends a stream."""


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return HEAD.pack(len(payload) >> 8, len(payload) & 255, kind, flags, stream_id) + payload


def goaway(last_stream_id: int, code: int) -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last_stream_id, code))


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def data_frames(
    stream_id: int, data: memoryview, frame_size: int, *, end: bool
) -> Iterator[bytes | memoryview]:
    """Yield the pieces of DATA frames; the last one has END_STREAM if this is the end."""
    at, size = 0, len(data)
    while True:
        length = min(frame_size, size - at)
        is_last = at + length == size
        flags = END_STREAM if end and is_last else 0
        yield HEAD.pack(length >> 8, length & 255, DATA, flags, stream_id)
        yield data[at : at + length]
        at += length
        if is_last:
            return


class FileFrames:
    """DATA frames with a part of a file, which is read to its place between the heads of the frames."""

    __slots__ = ("_file", "_left", "_offset", "data")

    def __init__(self, file: IO[bytes], offset: int, count: int, stream_id: int, frame_size: int) -> None:
        self.data = bytearray(count + HEAD.size * -(-count // frame_size))
        self._file = file.fileno()
        self._offset = offset
        self._left: list[memoryview] = []
        """The places whose bytes were not read yet."""
        view, at = memoryview(self.data), 0
        while count:
            length = min(frame_size, count)
            HEAD.pack_into(view, at, length >> 8, length & 255, DATA, 0, stream_id)
            at += HEAD.size
            self._left.append(view[at : at + length])
            at += length
            count -= length

    def read_cached(self) -> bool:
        """Read what the kernel has in memory. Return whether that is all."""
        with contextlib.suppress(OSError):  # the file system cannot say, or nothing is in memory
            self._read(_CACHED_ONLY)
        return not self._left

    def read(self) -> None:
        """Read the rest. Raise `OSError` if the file is shorter."""
        while self._left:
            self._read(0)

    def _read(self, flags: int) -> None:
        count = os.preadv(self._file, self._left[:_MAX_PLACES], self._offset, flags)
        if not count:
            raise OSError("the file is shorter than it was")
        self._offset += count
        while count:
            place = self._left.pop(0)
            if count < len(place):
                self._left.insert(0, place[count:])
            count = max(0, count - len(place))


def header_frames(block: bytes, stream_id: int, frame_size: int, *, end: bool) -> bytes:
    """Return a HEADERS frame, and CONTINUATION frames if the block needs them."""
    flags = END_STREAM if end else 0
    if len(block) <= frame_size:
        return frame(HEADERS, flags | END_HEADERS, stream_id, block)
    parts = [block[at : at + frame_size] for at in range(0, len(block), frame_size)]
    frames = [frame(HEADERS, flags, stream_id, parts[0])]
    frames += [frame(CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    return b"".join([*frames, frame(CONTINUATION, END_HEADERS, stream_id, parts[-1])])


def header_block(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an encoded header block: the status, the headers in lower case, and the date.

    The dynamic table is not used. What belongs to a connection of HTTP/1.1 is omitted (RFC 9113, 8.2.2).
    """
    fields = [_status(status)]
    for name, value in headers:
        fields.append(_cached_field(name, value) if len(value) <= _CACHED else _field(name, value))
    fields.append(_date(int(time.time())))
    return b"".join(fields)


@lru_cache(64)
def _status(status: int) -> bytes:
    return _ENCODER.add((b":status", b"%d" % status), sensitive=True)


@lru_cache(1)
def _date(second: int) -> bytes:
    return _ENCODER.add((b"date", http_date(second).encode()), sensitive=True)


def _field(name: bytes, value: bytes) -> bytes:
    name = name.strip().lower()
    if name.startswith(b":"):
        raise ValueError(f"a response cannot have the header {name.decode('latin-1')!r}")
    if name in _CONNECTION_HEADERS:
        return b""
    return _ENCODER.add((name, value.strip()), sensitive=True)


_cached_field = lru_cache(4096)(_field)


class FloodCounter:
    """Counts what a client sends on one connection that costs it nothing and us some work.

    What is useful (bytes of bodies, completed requests) makes up for it, and so does time.
    """

    __slots__ = ("_level", "_since")

    def __init__(self) -> None:
        self._level = 0.0
        self._since = time.monotonic()

    def count(self, cost: float) -> None:
        """Count a frame. Raise `DenialOfServiceError`."""
        self._level += cost
        if self._level > _BURST:
            now = time.monotonic()
            self._level = max(0.0, self._level - (now - self._since) * _LEAK)
            self._since = now
            if self._level > _BURST:
                raise DenialOfServiceError

    def make_up(self, use: float) -> None:
        """Count something useful."""
        self._level = max(0.0, self._level - use)
