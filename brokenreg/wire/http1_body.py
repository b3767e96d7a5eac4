"""Finds the ends of the bodies of HTTP/1.1 requests, to the byte.

Chunked bodies (RFC 9112, section 7.1) are decoded strictly: CRLF only, and nothing around the size.
"""

from __future__ import annotations

import re

from brokenreg.wire.http1_head import MAX_HEAD, RequestError, check_trailers

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_HEX = b"0123456789abcdefABCDEF"
_MAX_LINE = 4096
_TURN = 2000
"""Chunks that are decoded at a time: enough for all but the tiniest."""


class LengthDecoder:
    """Counts a body with a length."""

    __slots__ = ("is_ended", "left", "rest")

    must_continue = False

    def __init__(self, length: int) -> None:
        self.left = length
        """How many bytes are still to come."""
        self.is_ended = False
        self.rest = b""

    def decode(self, data: bytes) -> bytes:
        """Return the part of the body that is in `data`."""
        piece, self.rest = data[: self.left], data[self.left :]
        self.left -= len(piece)
        self.is_ended = not self.left
        return piece


class ChunkedDecoder:
    """Decodes one body. The sizes, extensions and trailers are checked, bounded and dropped."""

    __slots__ = ("_in_trailers", "_is_after_chunk", "_left", "is_ended", "must_continue", "rest")

    def __init__(self) -> None:
        self._left = 0
        self._is_after_chunk = False
        self._in_trailers = False
        self.is_ended = False
        self.must_continue = False
        """True if `decode` stopped early, for other connections to get a turn: call it again with b""."""
        self.rest = b""
        """What was not decoded yet; after the end, what follows the body."""

    def decode(self, data: bytes) -> bytes:
        """Return the part of the body that `data` adds. Raise `RequestError`."""
        if self.rest:
            data = self.rest + data
        pieces: list[bytes] = []
        at = turn = 0
        while at < len(data) and turn < _TURN and not self.is_ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                self._is_after_chunk = not self._left
                at += len(piece)
                continue
            turn += 1
            read = self._read_end_of_chunk(data, at) if self._is_after_chunk else self._read_line(data, at)
            if not read:
                break
            at += read
        self.must_continue = turn == _TURN
        self.rest = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_end_of_chunk(self, data: bytes, at: int) -> int:
        found = data[at : at + 2]
        if not b"\r\n".startswith(found):
            raise RequestError(400)
        if len(found) < 2:
            return 0
        self._is_after_chunk = False
        return 2

    def _read_line(self, data: bytes, at: int) -> int:
        """Read a size or the trailers. Return how many bytes they have, 0 if they are incomplete."""
        if self._in_trailers:
            return self._read_trailers(data, at)
        end = data.find(b"\r\n", at, at + _MAX_LINE)
        if end < 0:
            if len(data) - at >= _MAX_LINE:
                raise RequestError(431)
            if data[at : at + 1] not in _HEX or data.find(b"\n", at) >= 0:
                raise RequestError(400)
            return 0
        match = _SIZE.fullmatch(data, at, end)
        if match is None:
            raise RequestError(400)
        self._left = int(match[1], 16)
        self._in_trailers = not self._left
        return end + 2 - at

    def _read_trailers(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self.is_ended = True
            return 2
        end = data.find(b"\r\n\r\n", at, at + MAX_HEAD)
        if end < 0:
            if len(data) - at >= MAX_HEAD:
                raise RequestError(431)
            return 0
        check_trailers(data[at : end + 4])
        self.is_ended = True
        return end + 4 - at


BodyDecoder = LengthDecoder | ChunkedDecoder
