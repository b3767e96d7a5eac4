"""Parses the headers of tar archives (POSIX.1-2024, pax; GNU tar manual, "Basic Tar Format").

Sizes are what the archive claims, so the caller must limit them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

BLOCK = 512

_NUL_BLOCK = bytes(BLOCK)
_MOST_PAX_DIGITS = 20


class TarError(ValueError):
    """A header is invalid; the message says why."""


class Kind(Enum):
    """The kind of an entry; the value is the first character in the output of `ls -l`."""

    FILE = "-"
    DIRECTORY = "d"
    SYMLINK = "l"
    HARD_LINK = "h"
    CHARACTER_DEVICE = "c"
    BLOCK_DEVICE = "b"
    PIPE = "p"
    OTHER = "?"


_KINDS = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.PIPE,
}
_WITHOUT_CONTENT = b"123456"


@dataclass(frozen=True, slots=True)
class Header:
    """A header block. `size` is what the archive claims, in bytes; `flag` is the typeflag.

    A sparse file of GNU tar also has a `real_size`. If it `is_extended`, more blocks of its map follow.
    """

    name: bytes
    link: bytes
    mode: int
    size: int
    flag: bytes
    real_size: int | None
    is_extended: bool

    @property
    def kind(self) -> Kind:
        """Return the kind of the entry. In old archives, a file whose name ends in a slash is a directory."""
        if self.flag in (b"0", b"\0") and self.name.endswith(b"/"):
            return Kind.DIRECTORY
        return _KINDS.get(self.flag, Kind.OTHER)

    @property
    def has_content(self) -> bool:
        return self.flag not in _WITHOUT_CONTENT

    @property
    def permissions(self) -> int:
        return stat.S_IMODE(self.mode)


def is_end(block: bytes) -> bool:
    """Return whether a block is the end mark of an archive (all zeros)."""
    return block == _NUL_BLOCK


def parse_header(block: bytes) -> Header:
    """Return the header in a block. Raise `TarError` if it is invalid."""
    expected = _number(block[148:156], "checksum")
    summed = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    if expected != summed and expected != summed - 256 * _negative(block):
        raise TarError("the checksum of a header is wrong")
    size = _number(block[124:136], "size")
    if size < 0:
        raise TarError("a header has a negative size")
    name, flag = _text(block[:100]), block[156:157]
    is_gnu = block[257:265] == b"ustar  \0"
    prefix = b"" if is_gnu or block[257:262] != b"ustar" else _text(block[345:500])
    return Header(
        name=prefix + b"/" + name if prefix else name,
        link=_text(block[157:257]),
        mode=_number(block[100:108], "mode"),
        size=size,
        flag=flag,
        real_size=_number(block[483:495], "size") if flag == b"S" else None,
        is_extended=flag == b"S" and block[482:483] == b"\1",
    )


def pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keyword and value of each record of a pax header (`27 path=a/b\\n`). Raise `TarError`."""
    position = 0
    while position < len(body) and body[position]:
        blank = body.find(b" ", position, position + _MOST_PAX_DIGITS)
        digits = body[position:blank] if blank > 0 else b""
        end = position + int(digits) if digits.isdigit() else 0
        keyword, equals, value = body[blank + 1 : end - 1].partition(b"=")
        if not equals or end > len(body) or body[end - 1 : end] != b"\n":
            raise TarError("a pax header is malformed")
        yield keyword, value
        position = end


def pax_size(value: bytes) -> int:
    """Return the value of the pax keyword `size`, in bytes. Raise `TarError`."""
    if not value.isdigit() or len(value) > _MOST_PAX_DIGITS:
        raise TarError("a pax header has an invalid size")
    return int(value)


def _negative(block: bytes) -> int:
    """Return how many bytes are negative as signed numbers; old archivers summed signed bytes."""
    return sum(byte > 127 for byte in block[:148] + block[156:])


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes, what: str) -> int:
    """Return a number in octal digits, or in GNU's binary form, whose first byte is 0x80 or 0xFF."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = _text(field).strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise TarError(f"a header has an invalid {what}") from None
