"""The rows of a comparison: the same request on both sides, and below it what differs (Line API)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from brokenreg.traffic.comparing.comparison import Row
from brokenreg.traffic.comparing.comparison_text import sign_of
from brokenreg.traffic.comparing.pair import Sign
from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.text import fit, fold
from brokenreg.tui.theme import cursor_style
from brokenreg.tui.traffic.compare import words

_GUTTER = 3
"""Cells for the cursor, the sign and a space."""

_INDENT = 5
_MOST_NOTES = 3
"""Lines that say what differs in one row; the full view has the rest."""

_STYLES = {Sign.DIFFERS: "differs", Sign.LEFT: "alone", Sign.RIGHT: "alone", Sign.EQUAL: "quiet"}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: a row, or a note below it."""

    row: Row
    note: str = ""


Noted = tuple[Row, str]
"""A row, and what differs in it (`words.notes`)."""


def columns(width: int) -> int:
    """Return the width of one side in a table of `width` cells."""
    return max(1, (width - _GUTTER - 1) // 2)


class ComparisonTable(CursorList):
    """Shows rows; the cursor skips the notes. If `hides_equal`, rows without a difference are hidden."""

    DEFAULT_CSS = """
    ComparisonTable > .comparison--heading { color: $secondary; background: $panel; text-style: bold; }
    ComparisonTable > .comparison--quiet { color: $secondary; }
    ComparisonTable > .comparison--differs { color: $error; text-style: bold; }
    ComparisonTable > .comparison--alone { color: $warning; text-style: bold; }
    ComparisonTable > .comparison--cursor { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "comparison--heading",
        "comparison--quiet",
        "comparison--differs",
        "comparison--alone",
        "comparison--cursor",
    }
    HEADING = 1

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.hides_equal = False
        self._clock = clock
        self._rows: Sequence[Noted] = ()
        self._lines: list[_Line] = []
        self._places: list[int] = []
        self._cursor = 0
        self._width = 0

    @property
    def selected(self) -> Row | None:
        """Return the row under the cursor."""
        return self._lines[self._cursor].row if self._cursor < len(self._lines) else None

    def show(self, rows: Sequence[Noted]) -> None:
        """Show these rows, each with what differs. The cursor stays on its request."""
        self._rows = rows
        self._fold()

    def toggle_equal(self) -> None:
        """Hide or show the rows without a difference."""
        self.hides_equal = not self.hides_equal
        self._fold()

    def go_to_difference(self, by: int) -> bool:
        """Put the cursor on the next or previous row that differs; return whether there is one."""
        differing = [place for place in self._places if not self._lines[place].row.is_equal]
        found = [place for place in differing[::by] if (place - self._cursor) * by > 0]
        if found:
            self._go(found[0])
        return bool(found)

    def on_resize(self) -> None:
        """Fold the notes again if the width has changed."""
        if self._width != self.scrollable_content_region.width:
            self._fold()
        super().on_resize()

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        side = columns(width)
        if y < self.HEADING:
            names = f"{'':{_GUTTER}}{words.heading(side)}│{words.heading(side)}"
            return Strip([Segment(fit(names, width), self._style("heading"))], width)
        place = self.scroll_offset.y + y - self.HEADING
        if place >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[place]
        if line.note:
            style = self._style(_STYLES[sign_of(line.row)])
            return Strip([Segment(fit(f"{'':{_INDENT}}{line.note}", width), style)], width)
        return self._row(line.row, side, width, is_here=place == self._cursor)

    def _row(self, row: Row, side: int, width: int, *, is_here: bool) -> Strip:
        sign, now = sign_of(row), self._clock()
        usual, quiet = self.rich_style, self._style("quiet")
        segments = [
            Segment(f"{'▌' if is_here else ' '}{sign} ", self._style(_STYLES[sign])),
            Segment(words.column(row.left, side, now), quiet if row.left is None else usual),
            Segment("│", quiet),
            Segment(words.column(row.right, side, now), quiet if row.right is None else usual),
        ]
        strip = Strip(segments).adjust_cell_length(width, usual)
        if not is_here:
            return strip
        style = cursor_style(self, "comparison--cursor")
        return Strip(Segment.apply_style(strip, post_style=style), width)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"comparison--{name}")

    def _fold(self) -> None:
        """Make the lines, and keep the cursor on its request."""
        here = self.selected
        self._width = self.scrollable_content_region.width
        room = max(1, self._width - _INDENT)
        self._lines, self._places = [], []
        for row, note in self._rows:
            if self.hides_equal and row.is_equal:
                continue
            self._places.append(len(self._lines))
            self._lines.append(_Line(row))
            if note:
                folded = fold(note[: room * _MOST_NOTES], room)[:_MOST_NOTES]
                self._lines += [_Line(row, each) for each in folded]
        self._measure()
        at = (place for place in self._places if here is not None and _is_same(self._lines[place].row, here))
        self._go(next(at, self._cursor))

    @property
    def _count(self) -> int:
        return len(self._lines)

    @property
    def _line(self) -> int:
        return self._cursor

    def _put(self, line: int) -> None:
        """Put the cursor there, or on the nearest row."""
        self._cursor = min(self._places, key=lambda place: abs(place - line), default=0)

    def _go(self, line: int) -> int:
        """Put the cursor on a row, and scroll what differs in it into view, too."""
        top = super()._go(line)
        following = bisect_left(self._places, self._cursor) + 1
        end = self._places[following] if following < len(self._places) else len(self._lines)
        if end > top + self._height:
            top = min(self._cursor, end - self._height)
            self.scroll_to(y=top, animate=False, force=True)
        return top

    def _further(self, by: int) -> int:
        """Return the row some rows below the cursor, not counting notes."""
        at = bisect_left(self._places, self._cursor) + by
        return self._places[at] if 0 <= at < len(self._places) else self._cursor


def _is_same(row: Row, other: Row) -> bool:
    """Return whether two rows have the same requests, perhaps with the sides exchanged."""

    def ids(each: Row) -> set[int]:
        return {side.exchange.id for side in (each.left, each.right) if side is not None}

    return bool(ids(row) & ids(other))
