"""The list of blobs. It paints only the visible rows (Textual's Line API)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from brokenreg.oci.digests import Digest
from brokenreg.oci.sizes import format_size
from brokenreg.tui.blobs.survey import Blob
from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.text import fit, visible
from brokenreg.tui.theme import cursor_style

_DIGEST, _KIND, _SIZE, _USED = 12, 8, 10, 5
_FIXED = 2 + 1 + _KIND + 1 + _SIZE + 1 + _USED + 1 + 1
"""Cells of a row that digest, origin and place do not get."""

_DIGEST_AT_MOST = 64
_PLACE_AT_MOST = 100
"""Cells that the longest place can have before digests are shown in full."""

_ORIGIN, _ORIGIN_AT_MOST = len("fabricated"), 40

_MEASURED = 500
"""Blobs whose places are measured."""

_UNITS = ((31_557_600.0, "y"), (86_400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


class BlobTable(CursorList):
    """Blobs, one per line. The cursor stays on its blob when the list changes."""

    DEFAULT_CSS = """
    BlobTable > .blobs--heading { color: $secondary; background: $panel; text-style: bold; }
    BlobTable > .blobs--quiet { color: $secondary; }
    BlobTable > .blobs--cursor { background: $panel; text-style: bold; }
    BlobTable > .blobs--cursor-focus { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "blobs--heading",
        "blobs--quiet",
        "blobs--cursor",
        "blobs--cursor-focus",
    }
    HEADING = 1

    class Moved(Message):
        """Another blob is under the cursor."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._blobs: list[Blob] = []
        self._cursor = 0
        self._place = 0
        """The cells of the longest place."""
        self._origins = (0, 0)
        """The cells of the longest origin, and without the upstreams of cached blobs."""
        self._hint = "Reading…"

    @property
    def count(self) -> int:
        """Return the number of blobs."""
        return len(self._blobs)

    @property
    def selected(self) -> Blob | None:
        """Return the blob under the cursor, or None."""
        return self._blobs[self._cursor] if self._blobs else None

    def show(self, blobs: list[Blob], hint: str) -> None:
        """Show these blobs, or `hint` if there are none."""
        before = self.selected
        self._blobs, self._hint = blobs, hint
        self._place = max((len(_where(blob)) for blob in blobs[:_MEASURED]), default=0)
        origins = [visible(blob.origin) for blob in blobs[:_MEASURED]]
        self._origins = max(map(len, origins), default=0), max(map(len, map(_shorter, origins)), default=0)
        at = self._cursor
        if before is not None and self._digest_at(at) != before.digest:
            at = next((row for row, blob in enumerate(blobs) if blob.digest == before.digest), at)
        self._measure()
        self._go(at)

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        if y < self.HEADING:
            style = self.get_component_rich_style("blobs--heading")
            return Strip([Segment(fit(self._heading(width), width), style)], width)
        row = self.scroll_offset.y + y - self.HEADING
        if row >= len(self._blobs):
            text = f"   {self._hint}" if row == 1 and not self._blobs else ""
            return Strip([Segment(fit(text, width), self.get_component_rich_style("blobs--quiet"))], width)
        return self._paint(self._blobs[row], row == self._cursor, width)

    def _digest_width(self, width: int) -> int:
        """Return the cells of a digest: those that origins and places do not need."""
        room = width - _FIXED - self._origin_width(width) - min(self._place, _PLACE_AT_MOST)
        return max(_DIGEST, min(_DIGEST_AT_MOST, room))

    def _origin_width(self, width: int) -> int:
        """Return the cells of an origin: those that places and the beginnings of digests do not need."""
        room = width - _FIXED - _DIGEST - min(self._place, _PLACE_AT_MOST)
        longest, shorter = self._origins
        return max(_ORIGIN, min(longest if longest <= room else shorter, _ORIGIN_AT_MOST, room))

    def _heading(self, width: int) -> str:
        digest, origin = self._digest_width(width), self._origin_width(width)
        left = f"  {'Digest':<{digest}} {'Kind':<{_KIND}} {'Size':>{_SIZE}} {'Used':>{_USED}}"
        return f"{left} {'Origin':<{origin}} Repository"

    def _digest_at(self, row: int) -> Digest | None:
        return self._blobs[row].digest if row < len(self._blobs) else None

    @property
    def _count(self) -> int:
        return len(self._blobs)

    @property
    def _line(self) -> int:
        return self._cursor

    def _put(self, line: int) -> None:
        self._cursor = line
        self.post_message(self.Moved())

    def _paint(self, blob: Blob, at_cursor: bool, width: int) -> Strip:
        quiet = self.get_component_rich_style("blobs--quiet")
        origin, digest = self._origin_width(width), self._digest_width(width)
        room = max(0, width - _FIXED - origin - digest)
        segments = [
            Segment("▌ " if at_cursor else "  ", quiet),
            Segment(f"{_short(blob.digest, digest)} {blob.kind:<{_KIND}} ", self.rich_style),
            Segment(f"{format_size(blob.size):>{_SIZE}} {_age(blob.used, self._clock()):>{_USED}} ", quiet),
            Segment(f"{fit(_origin(blob, origin), origin)} ", quiet),
            Segment(fit(_where(blob), room), self.rich_style),
        ]
        strip = Strip(segments).adjust_cell_length(width, self.rich_style)
        if not at_cursor:
            return strip
        name = "blobs--cursor-focus" if self.has_focus else "blobs--cursor"
        return Strip(Segment.apply_style(strip, post_style=cursor_style(self, name)), width)


def _origin(blob: Blob, width: int) -> str:
    origin = visible(blob.origin)
    return origin if len(origin) <= width else _shorter(origin)


def _shorter(origin: str) -> str:
    """Return an origin without the upstream, with which the place of a cached blob begins."""
    return re.sub(r"cached from [^,]*", "cached", origin)


def _short(digest: Digest, width: int) -> str:
    mark = "" if digest.algorithm == "sha256" else f"{digest.algorithm.removeprefix('sha')}:"
    return fit(mark + digest.encoded[: width - len(mark)], width)


def _age(used: float | None, now: float) -> str:
    if used is None:
        return "-"
    seconds = max(0.0, now - used)
    return next((f"{seconds / unit:.0f}{word}" for unit, word in _UNITS if seconds >= unit), "now")


def _where(blob: Blob) -> str:
    more = f" +{len(blob.places) - 1}" if len(blob.places) > 1 else ""
    return visible(blob.places[0]) + more
