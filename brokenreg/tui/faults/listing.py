"""A list with a cursor, whose rows are made anew whenever they change (Line API)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from brokenreg.tui.scrolling import MOVES
from brokenreg.tui.text import fit
from brokenreg.tui.theme import cursor_style


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `key` tells it from others as rows come and go; a heading has None, and no cursor goes there.

    `style` is `on`, `off`, `quiet`, `heading` or nothing.
    """

    key: Hashable
    text: str
    style: str = ""


class Listing(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows, one of which the cursor is on. It stays on its row wherever that goes."""

    DEFAULT_CSS = """
    Listing { background: $background; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
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
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self._cursor = 0

    @property
    def selected(self) -> Hashable:
        """The key of the row under the cursor; None while there is none."""
        return self._rows[self._cursor].key if self._cursor < len(self._rows) else None

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows, if they are others."""
        if rows == self._rows:
            return
        key = self.selected
        self._rows = list(rows)
        self.virtual_size = Size(0, len(rows))
        places = [place for place, row in enumerate(rows) if row.key == key and key is not None]
        self._go(places[0] if places else self._cursor)
        self.refresh()

    def select(self, key: Hashable) -> None:
        """Put the cursor on a row."""
        self._go(next((place for place, row in enumerate(self._rows) if row.key == key), self._cursor))

    def render_line(self, y: int) -> Strip:
        """Paint line `y` of what is in sight."""
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

    def action_move(self, by: int) -> None:
        """To the next row that is no heading, or the one before."""
        place = self._cursor + by
        while 0 <= place < len(self._rows) and self._rows[place].key is None:
            place += 1 if by > 0 else -1
        if 0 <= place < len(self._rows):
            self._go(place)

    def action_page(self, by: int) -> None:
        """By a screen."""
        self._go(self._cursor + by * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """To the first row."""
        self._go(0)

    def action_last(self) -> None:
        """To the last row."""
        self._go(len(self._rows) - 1)

    def _go(self, place: int) -> None:
        """Put the cursor there, or on the nearest row that is no heading."""
        rows = [at for at, row in enumerate(self._rows) if row.key is not None]
        self._cursor = min(rows, key=lambda at: abs(at - place), default=0)
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        above = 1 if self._cursor and self._rows[self._cursor - 1].key is None else 0
        if self._cursor - above < top:
            self.scroll_to(y=self._cursor - above, animate=False, immediate=True, force=True)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False, immediate=True, force=True)
        self.refresh()
