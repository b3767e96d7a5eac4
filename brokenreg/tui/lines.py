"""Lines of text that scroll, folded where they are too long (Line API)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.content import Content
from textual.highlight import highlight
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from brokenreg.tui.scrolling import MOVES, Scrolling, set_lines
from brokenreg.tui.text import indented, looks_like_json, rows_of, visible


@dataclass(frozen=True, slots=True)
class JsonLine:
    """A line of JSON, `visible`, that is highlighted when it is painted."""

    plain: str


Line = Content | JsonLine

_HANGING = 2
"""Cells by which the further rows of a line are indented more than its first."""

_LONGEST = 2_000
"""Characters of one line; a longer one is several."""


def document_lines(text: str, most: int, most_lines: int = sys.maxsize) -> tuple[list[Line], bool]:
    """Return a document as lines, JSON indented, and whether it is complete.

    It has at most about `most` characters of the text, and `most_lines` lines.
    """
    is_json = looks_like_json(text)
    shown = indented(text, most, most_lines + 1) if is_json else text[:most]
    pieces = [
        line[start : start + _LONGEST]
        for line in map(visible, shown.split("\n"))
        for start in range(0, max(1, len(line)), _LONGEST)
    ]
    lines: list[Line] = [JsonLine(piece) if is_json else Content(piece) for piece in pieces[:most_lines]]
    return lines, len(shown) < most and len(pieces) <= most_lines


class Lines(ScrollView, Scrolling, can_focus=True, inherit_bindings=False):
    """Shows lines. Only the visible rows are painted, so that any number of lines can be shown."""

    DEFAULT_CSS = """
    Lines { height: 1fr; background: $surface; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES
    HEADING: ClassVar[int] = 0
    """Lines at the top that do not scroll."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: Sequence[Line] = ()
        self._rows: list[tuple[int, int, int]] = []
        self._width = 0

    def heading(self) -> Content:
        """Return the line at the top that does not scroll, if `HEADING` is 1."""
        return Content()

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines, and keep the position."""
        self._lines = lines
        self._width = 0
        self.on_resize()

    def on_resize(self) -> None:
        """Fold the lines again if the width has changed."""
        width = max(1, self.scrollable_content_region.width)
        if width == self._width:
            return
        self._width = width
        self._rows = []
        for number, line in enumerate(self._lines):
            text = line.plain
            if len(text) <= width // 2 or cell_len(text) <= width:
                self._rows.append((number, 0, len(text)))
            else:
                indent = _indent(text, width)
                self._rows += ((number, *row) for row in rows_of(text, width, indent))
        set_lines(self, width, len(self._rows) + self.HEADING)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        if y < self.HEADING:
            return self._paint(self.heading(), width)
        place = self.scroll_offset.y + y - self.HEADING
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        number, start, end = self._rows[place]
        line = self._lines[number]
        content = highlight(line.plain, language="json") if isinstance(line, JsonLine) else line
        piece = content[start:end]
        return self._paint(piece.pad_left(_indent(line.plain, width)) if start else piece, width)

    def _paint(self, piece: Content, width: int) -> Strip:
        if not piece:
            return Strip.blank(width, self.rich_style)
        return Visual.to_strips(self, piece, width, 1, self.visual_style)[0]


def _indent(text: str, width: int) -> int:
    """Return by how many cells the further rows of a folded line are indented."""
    return min(len(text) - len(text.lstrip(" ")) + _HANGING, width // 4)
