"""What is in one blob, as lines or as the entries of a layer. Free of widgets."""

from __future__ import annotations

import asyncio
import re

from brokenreg.concurrency import shielded
from brokenreg.images.layer_listing import Entry, LayerListing
from brokenreg.images.tar_headers import Kind as EntryKind
from brokenreg.images.unpacked import ZSTD_MAGIC, Content
from brokenreg.oci.sizes import format_size
from brokenreg.runtime.contents import open_content
from brokenreg.runtime.errors import FailedError, NotFoundError
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.blobs.survey import Blob, Kind
from brokenreg.tui.text import fold, indented, looks_like_json, visible
from brokenreg.wording import form_for

Line = tuple[tuple[str, str], ...]
"""Parts of a line: a text that is safe, and what it is (a style of `BlobView`), or nothing."""

DOCUMENT_SHOWN = 100_000
"""Bytes of a document that are shown."""

DUMPED = 4096
"""Bytes of anything else."""

_DUMP_WIDTH = 16
_MOST_LINES = 20_000
_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<value>"(?:[^"\\]|\\.)*"?|[^\s{}\[\],:"]+)|[{}\[\],:\s]+'
)


def is_zstd(beginning: bytes) -> bool:
    return beginning.startswith(ZSTD_MAGIC)


def document(content: Content, width: int) -> list[Line]:
    """Return a document as lines: JSON is indented, long lines are folded, and the rest is cut."""
    text = content.read(0, DOCUMENT_SHOWN).decode("utf-8", "backslashreplace")
    lines: list[Line] = []
    if content.size > DOCUMENT_SHOWN:
        lines.append(((f"only the first {format_size(DOCUMENT_SHOWN)} are shown", "note"),))
    for line in indented(text, 2 * DOCUMENT_SHOWN).split("\n"):
        rows = fold(visible(line), max(1, width))
        lines += [_coloured(rows[0])] if len(rows) == 1 else [((row, ""),) for row in rows]
        if len(lines) > _MOST_LINES:
            lines.append((("the remaining lines are not shown", "note"),))
            break
    return lines


def _coloured(line: str) -> Line:
    """Return a line of JSON with the styles of its parts: keys come before a colon, the rest are values."""
    return tuple((match[0], match.lastgroup or "") for match in _TOKEN.finditer(line))


def dump(content: Content) -> list[Line]:
    """Return the first bytes, in hexadecimal and as ASCII."""
    data = content.read(0, DUMPED)
    lines: list[Line] = []
    for at in range(0, len(data), _DUMP_WIDTH):
        row = data[at : at + _DUMP_WIDTH]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        numbers = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        lines.append(((f"{at:06x}  ", "quiet"), (f"{numbers}  ", ""), (text, "key")))
    return lines


def entry_line(entry: Entry) -> tuple[str, str, str]:
    """Return an entry as three texts: mode and size, the style of the name, and the name."""
    mode = entry.kind.value + "".join(
        letter if entry.permissions & bit else "-" for bit, letter in zip(_BITS, "rwxrwxrwx", strict=True)
    )
    size = format_size(entry.size) if entry.kind is EntryKind.FILE else ""
    name = visible(_text(entry.name)) + ("…" if entry.is_name_cut else "")
    if entry.hides is not None:
        hidden = visible(_text(entry.hides))
        what = f"everything below {hidden or '/'}" if entry.is_opaque else hidden
        return f"{mode} {'':>10}", "whiteout", f"{name} hides {what}"
    if entry.link:
        arrow = " = " if entry.kind is EntryKind.HARD_LINK else " → "
        name += arrow + visible(_text(entry.link))
    return f"{mode} {size:>10}", "outside" if _leads_outside(entry) else "", name


_BITS = tuple(1 << bit for bit in reversed(range(9)))


def _leads_outside(entry: Entry) -> bool:
    """Return whether the entry's name is absolute or contains `..`: unpacking it could write elsewhere."""
    return entry.name.startswith(b"/") or b".." in entry.name.split(b"/")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


_BEGINNING = 512


class Inside:
    """The content of one blob. `read` fills it: `lines` with a document or a dump, or else `listing`.

    If it will not be read, `unread` says why.
    """

    def __init__(self, runtime: Runtime, blob: Blob, unread: str = "") -> None:
        self.blob = blob
        self.lines: list[Line] = []
        self.listing: LayerListing | None = None
        self._runtime = runtime
        self._said = unread
        self.is_unread = bool(unread)

    @property
    def remark(self) -> str:
        """Return the progress of `read`, or its result, in one line."""
        listing = self.listing
        if self._said or listing is None:
            return self._said or "opening…"
        if listing.outcome is not None:
            return f"{_entries(listing)}, {listing.outcome}"
        done = 100 * listing.read // max(1, listing.size)
        return f"reading, {done}% of {format_size(listing.size)}, {_entries(listing)} so far"

    async def read(self, width: int) -> None:
        """Read the content, for lines of `width` cells. If this is cancelled, nothing continues to run."""
        try:
            async with open_content(self._runtime, self.blob.digest) as content:
                await self._read_content(content, width)
        except NotFoundError as error:
            self._said = error.reason or str(error)
        except FailedError as error:
            self._said = f"cannot be read: {visible(str(error))}"

    async def _read_content(self, content: Content, width: int) -> None:
        beginning = await shielded(asyncio.to_thread(content.read, 0, _BEGINNING))
        is_document = self.blob.kind.is_manifest or self.blob.kind is Kind.CONFIG
        if is_document or looks_like_json(beginning.decode("ascii", "replace")):
            self.lines = await shielded(asyncio.to_thread(document, content, width))
            self._said = "indented JSON"
            return
        why = "zstd is not supported"
        if not is_zstd(beginning):
            self.listing = listing = LayerListing(content)
            await shielded(asyncio.to_thread(listing.run), listing.stop)
            if listing.entries or listing.is_whole:
                return
            why = listing.outcome or ""
            self.listing = None
        self.lines = await shielded(asyncio.to_thread(dump, content))
        self._said = f"no list of entries ({why}); this is the first {format_size(min(DUMPED, content.size))}"


def _entries(listing: LayerListing) -> str:
    count = len(listing.entries)
    return f"{count:,} {form_for(count, 'entry', 'entries')}"
