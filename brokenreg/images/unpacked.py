"""Decompresses a layer as a stream in pieces of limited size."""

from __future__ import annotations

import zlib
from typing import Protocol

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_CHUNK = 64 * 1024
"""Number of bytes per read."""

_PIECE = 256 * 1024
"""Maximum number of bytes that are decompressed at a time."""

_GZIP = zlib.MAX_WBITS | 16


class Content(Protocol):
    """A blob, readable at any offset."""

    @property
    def size(self) -> int:
        """The size in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Call it in a thread: it blocks."""


class CompressionError(ValueError):
    """Compressed data is damaged; the message says how."""


class Unpacked:
    """A plain or gzip stream that is read forwards. `read` and `unpacked` count packed and unpacked bytes."""

    def __init__(self, content: Content) -> None:
        self.read = 0
        self.unpacked = 0
        self._content = content
        self._inflater = zlib.decompressobj(_GZIP) if self._begins_as_gzip() else None
        self._waiting = b""
        self._ready = b""
        self._taken = 0

    @property
    def is_compressed(self) -> bool:
        return self._inflater is not None

    def take(self, most: int) -> bytes:
        """Return up to `most` bytes (at most 256 KiB), or none at the end. Raise `CompressionError`."""
        if self._is_used_up:
            self._ready, self._taken = self._more(), 0
        taken = self._ready[self._taken : self._taken + most]
        self._taken += len(taken)
        self.unpacked += len(taken)
        return taken

    def skip(self, length: int) -> int:
        """Skip bytes: all of them in a plain stream, some in a gzip stream. Return how many; 0 at the end."""
        if self._inflater is not None or not self._is_used_up:
            return len(self.take(length))
        skipped = min(length, self._content.size - self.read)
        self.read += skipped
        self.unpacked += skipped
        return skipped

    @property
    def _is_used_up(self) -> bool:
        return self._taken == len(self._ready)

    def _begins_as_gzip(self) -> bool:
        return self._content.read(0, len(GZIP_MAGIC)) == GZIP_MAGIC

    def _more(self) -> bytes:
        if self._inflater is None:
            return self._chunk()
        while True:
            if self._inflater.eof and not self._next_member():
                return b""
            packed = self._waiting or self._chunk()
            if not packed:
                raise CompressionError("the gzip stream is cut off")
            try:
                piece = self._inflater.decompress(packed, _PIECE)
            except zlib.error as error:
                raise CompressionError(f"the gzip stream is damaged ({error})") from None
            self._waiting = self._inflater.unconsumed_tail
            if piece:
                return piece

    def _next_member(self) -> bool:
        """Start the next gzip member (RFC 1952, section 2.2); False if only zeros follow."""
        assert self._inflater is not None  # noqa: S101 - for the type checker
        self._waiting = self._inflater.unused_data or self._chunk()
        while self._waiting and not self._waiting.strip(b"\0"):
            self._waiting = self._chunk()
        self._waiting = self._waiting.lstrip(b"\0")
        self._inflater = zlib.decompressobj(_GZIP)
        return bool(self._waiting)

    def _chunk(self) -> bytes:
        chunk = self._content.read(self.read, _CHUNK)
        self.read += len(chunk)
        return chunk
