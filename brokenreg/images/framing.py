"""The bytes around the content of a layer: tar (POSIX.1-2008, "pax") and gzip (RFC 1951, RFC 1952).

This is part of recipe 1 (`spec`) and must never change. Nothing is compressed, because the content is random.
Stored blocks have a known length, so each offset in the gzip stream corresponds to one in the tar.
"""

from __future__ import annotations

import struct

_RECORD = 512
_USTAR_LIMIT = 8**11
"""The size, 8 GiB, from which sizes do not fit into the eleven octal digits of a ustar header."""

_PAX_NAME = "././@PaxHeader"
_FILE, _PAX = b"0", b"x"

BLOCK = 65_535
"""Bytes in a stored block of deflate: the maximum that its 16-bit length allows."""

_BLOCK_HEADER = 5
_STRIDE = _BLOCK_HEADER + BLOCK


class TarFrame:
    """A tar of one file of `size` bytes: `head`, the content, then zeros up to `self.size`."""

    __slots__ = ("content_end", "content_start", "head", "size")

    def __init__(self, name: str, size: int) -> None:
        self.head = _tar_head(name, size)
        self.content_start = len(self.head)
        self.content_end = self.content_start + size
        self.size = tar_size(self.content_start, size)


def tar_size(head: int, size: int) -> int:
    """Return the size of a tar: the head, the file padded to 512 bytes, and two empty records at the end."""
    return head + -(-size // _RECORD) * _RECORD + 2 * _RECORD


def _tar_head(name: str, size: int) -> bytes:
    if size < _USTAR_LIMIT:
        return _tar_header(name, size, _FILE)
    record = _pax_record("size", str(size))
    # The ustar header has size 0 if there is a pax record, as with GNU tar, Go and Python.
    return (
        _tar_header(_PAX_NAME, len(record), _PAX) + record.ljust(_RECORD, b"\0") + _tar_header(name, 0, _FILE)
    )


def _tar_header(name: str, size: int, kind: bytes) -> bytes:
    fields = struct.pack(
        "100s 8s 8s 8s 12s 12s 8s c 100s 6s 2s 32s 32s 8s 8s 155s 12x",
        name.encode(),
        b"0000644",
        b"0000000",  # uid
        b"0000000",  # gid
        b"%011o" % size,
        b"%011o" % 0,  # mtime
        b" " * 8,  # the checksum is computed as if its own field were blank
        kind,
        b"",  # link
        b"ustar",
        b"00",
        b"",  # user
        b"",  # group
        b"0000000",  # device, major
        b"0000000",  # device, minor
        b"",  # prefix
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _pax_record(keyword: str, value: str) -> bytes:
    """Return a pax record: `<length> <keyword>=<value>\\n`, where the length includes its own digits."""
    rest = f" {keyword}={value}\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return f"{length}{rest}".encode()


class GzipFrame:
    """A gzip stream of stored blocks around a tar of `tar_size` bytes, at least one.

    `HEADER`, then the body of `body_size` bytes, then `trailer`; `size` bytes in all.
    """

    __slots__ = ("body_size", "size", "tar_size")

    HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    """The gzip header: deflate, without flags, time, level and system."""

    def __init__(self, tar_size: int) -> None:
        self.tar_size = tar_size
        self.body_size = tar_size + _BLOCK_HEADER * -(-tar_size // BLOCK)
        self.size = len(self.HEADER) + self.body_size + 8

    @staticmethod
    def tar_offset(offset: int) -> int:
        """Return how many bytes of the tar are in the first `offset` bytes of the body."""
        block, within = divmod(offset, _STRIDE)
        return block * BLOCK + max(within - _BLOCK_HEADER, 0)

    @staticmethod
    def body_offset(tar_offset: int) -> int:
        """Return the offset in the body of an offset in the tar that is a multiple of `BLOCK`."""
        return tar_offset // BLOCK * _STRIDE

    def parts(self, start: int, tar: memoryview, end: int) -> list[bytes | memoryview]:
        """Yield bytes `start` to `end` of the body, in pieces that are partly views of `tar`.

        `tar` has the bytes of the tar between the `tar_offset`s of both.
        """
        parts: list[bytes | memoryview] = []
        used = 0
        for block in range(start // _STRIDE, -(-end // _STRIDE)):
            first, last = max(start - block * _STRIDE, 0), min(end - block * _STRIDE, _STRIDE)
            if first < _BLOCK_HEADER:
                parts.append(self._block_header(block)[first:last])
            count = max(last - max(first, _BLOCK_HEADER), 0)
            parts.append(tar[used : used + count])
            used += count
        return parts

    def trailer(self, crc32: int) -> bytes:
        """Return the gzip trailer: the CRC-32 of the tar, and its length modulo 2^32."""
        return struct.pack("<II", crc32, self.tar_size & 0xFFFF_FFFF)

    def _block_header(self, block: int) -> bytes:
        rest = self.tar_size - block * BLOCK
        length = min(rest, BLOCK)
        return struct.pack("<BHH", rest <= BLOCK, length, length ^ 0xFFFF)
