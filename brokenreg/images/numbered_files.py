"""The headers of many empty files in a tar, computed when they are read."""

from __future__ import annotations

from functools import lru_cache

from brokenreg.images.layer import clip
from brokenreg.images.tarball import RECORD, Entry, header

_GROUP = 1000
"""Files that differ in the last three digits of their names. Their headers are computed together."""

_GROUP_SIZE = _GROUP * RECORD

_HIGH_DIGITS = 4
_CHECKSUM = slice(148, 154)
"""The place of the digits of the checksum in a header (POSIX.1-2024, "pax", "ustar Interchange Format")."""


class NumberedFiles:
    """The headers of up to 10 million empty files, `<folder>/0000000` and so on."""

    def __init__(self, folder: bytes, count: int) -> None:
        self.size = count * RECORD
        self._folder = folder

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`, fewer only at the end. Raise `ValueError` if one is negative."""
        end = clip(offset, length, self.size)
        headers = _headers_of(self._folder)
        first = offset // _GROUP_SIZE
        groups = b"".join(map(headers.of_group, range(first, -(-end // _GROUP_SIZE))))
        start = offset - first * _GROUP_SIZE
        return groups[start : start + end - offset]


class _Headers:
    """The headers of files in a folder. They take 740 KiB of memory."""

    def __init__(self, folder: bytes) -> None:
        headers = [header(Entry(b"%s/%07d" % (folder, number)), 0) for number in range(_GROUP)]
        self._first = b"".join(headers)
        self._place = len(folder) + 1
        sums = [int(each[_CHECKSUM], 8) for each in headers]
        # A checksum is the sum of the bytes, so it depends on the sum of the other digits.
        self._checksums = [
            [bytes(column) for column in zip(*(b"%06o" % (each + more) for each in sums), strict=True)]
            for more in range(9 * _HIGH_DIGITS + 1)
        ]

    def of_group(self, number: int) -> bytearray:
        """Return the headers of the files from 1000 times `number`."""
        headers = bytearray(self._first)
        digits = b"%0*d" % (_HIGH_DIGITS, number)
        for place, digit in enumerate(digits, start=self._place):
            headers[place::RECORD] = bytes([digit]) * _GROUP
        columns = self._checksums[sum(digits) - _HIGH_DIGITS * ord("0")]
        for place, column in enumerate(columns, start=_CHECKSUM.start):
            headers[place::RECORD] = column
        return headers


_headers_of = lru_cache(4)(_Headers)
