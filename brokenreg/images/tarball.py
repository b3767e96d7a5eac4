"""Writes tar archives (POSIX.1-2024, "ustar" and "pax"), valid or not, as content that is computed."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from brokenreg.images.computed import Joined
from brokenreg.images.unpacked import Content

FILE, HARD_LINK, SYMLINK, CHARACTER_DEVICE, DIRECTORY, PIPE = b"0", b"1", b"2", b"3", b"5", b"6"
PAX = b"x"
"""A header with records for the next entry."""

RECORD = 512
_MOST_NAME = 100
_MOST_SIZE = 8**11
"""The size in bytes from which eleven octal digits do not suffice."""

_FORMAT = "100s 8s 8s 8s 12s 12s 8s c 100s 6s 2s 32s 32s 8s 8s 155s 12x"
END = bytes(2 * RECORD)
"""The two empty records at the end of an archive."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. Owner, group and time are 0. What ustar cannot express is written as pax records.

    `size` is what the header claims, if that is not the size of the content. `pax` are further records.
    """

    name: bytes
    content: Content | bytes = b""
    kind: bytes = FILE
    mode: int = 0o644
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    size: int | None = None
    pax: Mapping[str, bytes] = field(default_factory=dict)


PAX_HEADER = Entry(b"././@PaxHeader", kind=PAX)


def tar_of(entries: Iterable[Entry]) -> Joined:
    """Return the archive of these entries."""
    return Joined([*(part for each in entries for part in parts_of(each)), END])


def parts_of(entry: Entry) -> Iterator[Content | bytes]:
    """Yield the headers of an entry, its content, and the padding."""
    content = entry.content
    actual = len(content) if isinstance(content, bytes) else content.size
    size = actual if entry.size is None else entry.size
    records = dict(entry.pax)
    if len(entry.name) > _MOST_NAME:
        records["path"] = entry.name
    if len(entry.link) > _MOST_NAME:
        records["linkpath"] = entry.link
    if size >= _MOST_SIZE:
        records["size"] = b"%d" % size
        size = 0
    if records:
        text = b"".join(pax_record(key, value) for key, value in records.items())
        yield header(PAX_HEADER, len(text)) + _padded(text)
    yield header(entry, size)
    yield content
    yield bytes(-actual % RECORD)


def header(entry: Entry, size: int) -> bytes:
    """Return the ustar header of an entry that claims `size` bytes. Names are cut off after 100 bytes."""
    fields = struct.pack(
        _FORMAT,
        entry.name,
        b"%07o" % entry.mode,
        b"0000000",
        b"0000000",
        b"%011o" % size,
        b"%011o" % 0,
        b" " * 8,  # the checksum is computed as if its own field were blank
        entry.kind,
        entry.link,
        b"ustar",
        b"00",
        b"",
        b"",
        b"%07o" % entry.device[0],
        b"%07o" % entry.device[1],
        b"",
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def pax_record(keyword: str, value: bytes) -> bytes:
    """Return a pax record: `<length> <keyword>=<value>\\n`, where the length includes its own digits."""
    return pax_prefix(keyword, len(value)) + value + b"\n"


def pax_prefix(keyword: str, size: int) -> bytes:
    """Return what comes before a value of `size` bytes in a pax record."""
    rest = b" %s=" % keyword.encode()
    others = len(rest) + size + 1
    length = others
    while length != others + len(str(length)):
        length = others + len(str(length))
    return b"%d%s" % (length, rest)


def _padded(text: bytes) -> bytes:
    return text + bytes(-len(text) % RECORD)
