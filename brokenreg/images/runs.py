"""Content that is mostly one byte, packed as tightly as gzip and zstd allow, without a compressor."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from brokenreg.images.computed import RAW, RLE, ZSTD_BLOCK, Joined, Repeated, zstd_block, zstd_head
from brokenreg.images.framing import GzipFrame

_MATCH = 258
"""The longest match of deflate (RFC 1951, section 3.2.5). It takes 2 bits here: 1,032 bytes take 1 byte."""

_POLYNOMIAL = 0xEDB8_8320
"""The one of CRC-32 (RFC 1952, section 8), its highest power in the lowest bit."""


@dataclass(frozen=True, slots=True)
class Run:
    """`head`, then the byte `byte`, `count` times, then `tail`. Both ends have less than 64 KiB."""

    head: bytes
    byte: int
    count: int
    tail: bytes = b""

    @property
    def unpacked(self) -> Joined:
        """The content itself."""
        return Joined((self.head, Repeated(bytes([self.byte]), self.count), self.tail))

    def zstd(self) -> Joined:
        """Return the content as one zstd frame (RFC 8878). Each 128 KiB of the run take 4 bytes."""
        full, rest = divmod(self.count, ZSTD_BLOCK)
        byte = bytes([self.byte])
        return Joined(
            (
                zstd_head(self.unpacked.size),
                zstd_block(RAW, len(self.head), is_last=False) + self.head,
                Repeated(zstd_block(RLE, ZSTD_BLOCK, is_last=False) + byte, full),
                zstd_block(RLE, rest, is_last=False) + byte,
                zstd_block(RAW, len(self.tail), is_last=True) + self.tail,
            )
        )

    def gzip(self) -> Joined:
        """Return the content as one gzip member. Each 1,032 bytes of the run take 1 byte."""
        size = self.unpacked.size
        return Joined(
            (
                GzipFrame.HEADER,
                b"\0" + _length(self.head) + self.head,  # a stored block
                *self._deflated(),
                _length(self.tail) + self.tail,
                struct.pack("<II", self.checksum, size & 0xFFFF_FFFF),
            )
        )

    @property
    def checksum(self) -> int:
        """The CRC-32 of the content."""
        run = _checksum_of_run(self.byte, self.count)
        checksum = _joined(zlib.crc32(self.head), run, self.count)
        return _joined(checksum, zlib.crc32(self.tail), len(self.tail))

    def _deflated(self) -> tuple[bytes, Repeated, bytes]:
        """Return the block of the run, and the first bits of the stored block after it, the last one.

        The codes are `0` for a match of 258 bytes, `10` for the byte, `11` for the end of the block, and `0`
        for a distance of 1. So all matches are zeros.
        """
        matches, literals = divmod(self.count - 1, _MATCH)
        head = _block_header(self.byte) + "10"
        tail = "10" * literals + "11" + "100"
        zeros = 2 * matches
        before = -len(head) % 8
        if zeros < before:
            return _packed(head + "0" * zeros + tail), Repeated(b"\0", 0), b""
        middle, after = divmod(zeros - before, 8)
        return _packed(head + "0" * before), Repeated(b"\0", middle), _packed("0" * after + tail)


def _block_header(byte: int) -> str:
    """Return the bits of the header of a block with three codes (RFC 1951, section 3.2.7)."""
    lengths = [0] * 287  # of the codes for literals and matches, and for one distance
    lengths[byte] = lengths[256] = 2
    lengths[285] = lengths[286] = 1
    codes = {1: "00", 2: "01", 18: "10", 0: "110"}  # 18 is a run of 11 to 138 zeros; 17 is not used
    widths = {1: 2, 2: 2, 18: 2, 0: 3, 17: 3}
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits = ["001", _number(286 - 257, 5), _number(0, 5), _number(len(order) - 4, 4)]
    bits += [_number(widths.get(symbol, 0), 3) for symbol in order]
    place = 0
    while place < len(lengths):
        zeros = 0
        while zeros < 138 and place + zeros < len(lengths) and lengths[place + zeros] == 0:
            zeros += 1
        if zeros >= 11:
            bits.append(codes[18] + _number(zeros - 11, 7))
        else:
            zeros = 1
            bits.append(codes[lengths[place]])
        place += zeros
    return "".join(bits)


def _number(value: int, width: int) -> str:
    """Return the bits of a number in the order of deflate, the lowest first."""
    return f"{value:0{width}b}"[::-1]


def _packed(bits: str) -> bytes:
    """Return bits as bytes, the first bit of each lowest. The last byte is filled with zeros."""
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))


def _length(stored: bytes) -> bytes:
    return struct.pack("<HH", len(stored), len(stored) ^ 0xFFFF)


def _checksum_of_run(byte: int, count: int) -> int:
    checksum = length = 0
    for bit in f"{count:b}":  # from the highest: double the run, then add 1 byte if the bit is set
        checksum, length = _joined(checksum, checksum, length), 2 * length
        if bit == "1":
            checksum, length = _joined(checksum, zlib.crc32(bytes([byte])), 1), length + 1
    return checksum


def _joined(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two parts from those of each; `length` is the size of the second one."""
    return _product(_power(8 * length), first) ^ second


def _power(exponent: int) -> int:
    """Return x to a power, modulo the polynomial. The highest bit of a result is 1, the next is x."""
    result, square = 1 << 31, 1 << 30
    while exponent:
        if exponent & 1:
            result = _product(result, square)
        square = _product(square, square)
        exponent >>= 1
    return result


def _product(first: int, second: int) -> int:
    """Return a product of polynomials, modulo the polynomial."""
    product = 0
    for place in range(31, -1, -1):
        if first >> place & 1:
            product ^= second
        second = second >> 1 ^ (_POLYNOMIAL if second & 1 else 0)
    return product
