"""A list of text with a cursor, for lists that are short enough to be replaced at each change (Line API)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.text import fit
from brokenreg.tui.theme import cursor_style


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `key` identifies it when rows change; a heading has None, and the cursor skips it.

    `style` is `on`, `off`, `quiet`, `heading` or nothing.
    """

    key: Hashable
    text: str
    style: str = ""


class Listing(CursorList):
    """Shows rows. The cursor stays on its row when rows move, and never goes to a heading."""

    DEFAULT_CSS = """
    Listing > .listing--on { color: $error; text-style: bold; }
    Listing > .listing--off { color: $secondary; }
    Listing > .listing--quiet { color: $secondary; }
    Listing > .listing--heading { color: $secondary; background: $panel; text-style: bold; }
    Listing > .listing--cursor { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "listing--on",
        "listing--off",
        "listing--quiet",
        "listing--heading",
        "listing--cursor",
    }

    class Moved(Message):
        """The cursor is on another line."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self._places: list[int] = []
        """The line numbers of the rows that are not headings."""
        self._cursor = 0

    @property
    def selected(self) -> Hashable:
        """Return the key of the row under the cursor, or None."""
        return self._rows[self._cursor].key if self._cursor < len(self._rows) else None

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; repaint only if they differ."""
        if rows == self._rows:
            return
        key = self.selected
        self._rows = list(rows)
        self._places = [place for place, row in enumerate(rows) if row.key is not None]
        self._measure()
        self.select(key)

    def select(self, key: Hashable) -> None:
        """Put the cursor on a row."""
        self._go(next((place for place in self._places if self._rows[place].key == key), self._cursor))

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        place = self.scroll_offset.y + y
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[place]
        is_here = place == self._cursor and row.key is not None
        style = self.rich_style
        if row.style:
            style += self.get_component_rich_style(f"listing--{row.style}")
        if is_here:
            style += cursor_style(self, "listing--cursor")
        text = ("▌" if is_here else " ") + row.text
        return Strip([Segment(fit(text, width), style + Style(underline=False))], width)

    @property
    def _count(self) -> int:
        return len(self._rows)

    @property
    def _line(self) -> int:
        return self._cursor

    def _put(self, line: int) -> None:
        """Put the cursor there, or on the nearest row that is not a heading."""
        before = self._cursor
        self._cursor = min(self._places, key=lambda place: abs(place - line), default=0)
        if self._cursor != before:
            self.post_message(self.Moved())

    def _further(self, by: int) -> int:
        """Return the row some rows below the cursor, not counting headings."""
        at = bisect_left(self._places, self._cursor) + by
        return self._places[at] if 0 <= at < len(self._places) else self._cursor

    def _above(self, line: int) -> int:
        return 1 if line and self._rows[line - 1].key is None else 0
