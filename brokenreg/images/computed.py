"""Content that is computed when it is read, at any offset, with little memory.

`Document` (in `image`) is content in memory. The classes below build larger content from pieces: `Repeated`,
`Random`, `Joined`, and `Framed` with `gzip_stored` and `zstd_stored`; `Run` (in `runs`) is very small when it
is packed. None of them compresses, because the bytes that a compressor returns depend on its version, and the
digests of an image must not.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from brokenreg.images.framing import BLOCK, GzipFrame
from brokenreg.images.image import Document
from brokenreg.images.layer import Keystream, clip
from brokenreg.images.unpacked import ZSTD_MAGIC, Content
from brokenreg.oci.digests import Digest

_STEP = 1024 * 1024
"""Bytes that are read at a time in order to hash content."""

ZSTD_BLOCK = 128 * 1024
"""The largest block of zstd (RFC 8878, section 3.1.1.2.4)."""

_ZSTD_HEADER = ZSTD_MAGIC + b"\xc0\x38"
"""A frame whose header has an 8-byte content size, without checksum, and a window of 128 KiB."""

RAW, RLE = 0, 1


@dataclass(frozen=True, slots=True)
class Repeated:
    """`unit`, `times` times in a row."""

    unit: bytes
    times: int

    @property
    def size(self) -> int:
        return len(self.unit) * self.times

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        end = clip(offset, length, self.size)
        if offset >= end:
            return b""
        first, skip = divmod(offset, len(self.unit))
        units = -(-end // len(self.unit)) - first
        return (self.unit * units)[skip : skip + end - offset]


class Random:
    """`size` pseudo-random bytes that depend only on `key`, a text."""

    __slots__ = ("_stream", "size")

    def __init__(self, key: str, size: int) -> None:
        self._stream = Keystream(key)
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        buffer = bytearray(max(0, clip(offset, length, self.size) - offset))
        self._stream.read_into(offset, memoryview(buffer))
        return bytes(buffer)


class Joined:
    """Pieces of content, one after another."""

    __slots__ = ("_ends", "_parts", "size")

    def __init__(self, parts: Sequence[Content | bytes]) -> None:
        self._parts = [Document(each) if isinstance(each, bytes) else each for each in parts]
        self._ends = list(accumulate(each.size for each in self._parts))
        self.size = self._ends[-1] if self._ends else 0

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        end = clip(offset, length, self.size)
        found = []
        for place in range(bisect_right(self._ends, offset), len(self._parts)):
            part = self._parts[place]
            begin = self._ends[place] - part.size
            if begin >= end:
                break
            start = max(offset - begin, 0)
            found.append(part.read(start, min(end - begin, part.size) - start))
        return b"".join(found)


class Framed:
    """Content that is cut into blocks of `block` bytes, each after a header: `head`, the blocks, `tail`.

    `header` returns the header of a block, always of the same length, from the number of bytes in the block
    and whether it is the last one. Content without bytes has one empty block.
    """

    __slots__ = ("_block", "_content", "_head", "_header", "_stride", "_tail", "size")

    def __init__(
        self, content: Content, head: bytes, block: int, header: Callable[[int, bool], bytes], tail: bytes
    ) -> None:
        self._content = content
        self._block = block
        self._head, self._header, self._tail = head, header, tail
        self._stride = len(header(0, True)) + block
        blocks = max(1, -(-content.size // block))
        self.size = len(head) + blocks * (self._stride - block) + content.size + len(tail)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        end = clip(offset, length, self.size)
        body_end = self.size - len(self._tail)
        found = [self._head[offset:end]]
        start, stop = max(offset, len(self._head)) - len(self._head), min(end, body_end) - len(self._head)
        if start < stop:
            first = start // self._stride
            body = b"".join(self._blocks(first, -(-stop // self._stride)))
            found.append(body[start - first * self._stride : stop - first * self._stride])
        if end > body_end:
            found.append(self._tail[max(offset - body_end, 0) : end - body_end])
        return b"".join(found)

    def _blocks(self, first: int, last: int) -> Iterator[bytes]:
        for number in range(first, last):
            begin = number * self._block
            data = self._content.read(begin, self._block)
            yield self._header(len(data), begin + self._block >= self._content.size)
            yield data


def gzip_stored(content: Content, *, crc32: int | None = None) -> Framed:
    """Return content as a gzip stream of stored blocks (RFC 1952). `crc32` replaces the right checksum."""
    checksum = checksum_of(content) if crc32 is None else crc32
    trailer = struct.pack("<II", checksum, content.size & 0xFFFF_FFFF)
    return Framed(content, GzipFrame.HEADER, BLOCK, _deflate_header, trailer)


def zstd_stored(content: Content) -> Framed:
    """Return content as a zstd frame of raw blocks (RFC 8878), without a checksum."""
    return Framed(content, zstd_head(content.size), ZSTD_BLOCK, _zstd_header, b"")


def pieces_of(content: Content) -> Iterator[bytes]:
    """Yield content in order, in pieces of up to 1 MiB."""
    for offset in range(0, content.size, _STEP):
        yield content.read(offset, _STEP)


def digest_of(content: Content, algorithm: str = "sha256") -> Digest:
    """Return the digest of content. Call it in a thread: it reads everything."""
    hasher = hashlib.new(algorithm)
    for piece in pieces_of(content):
        hasher.update(piece)
    return Digest.from_hash(hasher)


def checksum_of(content: Content) -> int:
    """Return the CRC-32 of content. Call it in a thread: it reads everything."""
    checksum = 0
    for piece in pieces_of(content):
        checksum = zlib.crc32(piece, checksum)
    return checksum


def _deflate_header(length: int, is_last: bool) -> bytes:
    return struct.pack("<BHH", is_last, length, length ^ 0xFFFF)


def zstd_head(size: int) -> bytes:
    """Return the header of a zstd frame of `size` unpacked bytes."""
    return _ZSTD_HEADER + struct.pack("<Q", size)


def _zstd_header(length: int, is_last: bool) -> bytes:
    return zstd_block(RAW, length, is_last=is_last)


def zstd_block(kind: int, length: int, *, is_last: bool) -> bytes:
    """Return the header of a zstd block of `length` unpacked bytes: `RAW`, or `RLE` of the byte after it."""
    return (is_last | kind << 1 | length << 3).to_bytes(3, "little")
