"""The Log tab: the lines of the server's log, and on a wide screen one of them in full (Line API)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.strip import Strip

from brokenreg.diagnostics import Diagnostics, LogLine
from brokenreg.http.dates import clock, date_and_clock
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.lines import Lines
from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.split import Split
from brokenreg.tui.tabs import TabArea, TabContext
from brokenreg.tui.text import ELLIPSIS, fit, fold, visible
from brokenreg.tui.theme import cursor_style

_LEAD = 17
"""Cells of time and level, before the text."""


class _Row(NamedTuple):
    """A row of a record: time and level if it is the first, the style of the level, and the text."""

    record: LogLine
    lead: str
    style: str
    text: str


class LogView(CursorList):
    """Log lines of at least `level`. While the cursor is on the last one, and `follow` is on, it follows.

    Long lines are folded. With `is_short`, each record has one row, because it is in full beside the list.
    """

    DEFAULT_CSS = """
    LogView > .log--quiet { color: $secondary; }
    LogView > .log--warning { color: $error; }
    LogView > .log--error { color: $error; text-style: bold; }
    LogView > .log--cursor { background: $primary 30%; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--quiet", "log--warning", "log--error", "log--cursor"}

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__()
        self.follow = True
        self.is_short = False
        self.level = logging.INFO
        self._diagnostics = diagnostics
        self._rows: list[_Row] = []
        self._at = 0
        self._shown: tuple[int, int, int, bool] | None = None

    @property
    def is_at_end(self) -> bool:
        """Return whether the cursor is on the last row."""
        return self._at >= len(self._rows) - 1

    @property
    def selected(self) -> LogLine | None:
        """Return the record under the cursor, or None."""
        return self._rows[self._at].record if self._at < len(self._rows) else None

    def tick(self) -> None:
        """Show what was logged since the last tick."""
        width = self.scrollable_content_region.width
        state = (self._diagnostics.version, self.level, width, self.is_short)
        if state == self._shown or width <= _LEAD:
            return
        is_tailing = self._shown is None or (self.follow and self.is_at_end)
        selected, above = self.selected, self._at - self.scroll_offset.y
        self._shown = state
        lines = [line for line in self._diagnostics.lines() if line.level >= self.level]
        self._rows = [row for line in lines for row in _rows(line, width - _LEAD, self.is_short)]
        self._measure()
        if is_tailing:
            self.action_last()
            return
        at = next((place for place, row in enumerate(self._rows) if row.record is selected), self._at)
        self.scroll_to(y=max(0, at - above), animate=False)
        self._go(at)

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        number = self.scroll_offset.y + y
        if number >= len(self._rows):
            text = "  No log lines at this level." if number == 0 else ""
            return Strip([Segment(text, self.get_component_rich_style("log--quiet"))]).adjust_cell_length(
                width, self.rich_style
            )
        row = self._rows[number]
        is_here = number == self._at
        lead = f"{'▌' if is_here else ' '}{row.lead}"
        segments = [
            Segment(f"{lead:<{_LEAD}}", self.get_component_rich_style(row.style)),
            Segment(row.text, self.rich_style),
        ]
        strip = Strip(segments).adjust_cell_length(width, self.rich_style)
        if not is_here:
            return strip
        return Strip(Segment.apply_style(strip, post_style=cursor_style(self, "log--cursor")), width)

    def on_resize(self) -> None:
        """Fold the lines again."""
        self.tick()
        super().on_resize()

    @property
    def _count(self) -> int:
        return len(self._rows)

    @property
    def _line(self) -> int:
        return self._at

    def _put(self, line: int) -> None:
        self._at = line


class LogDetail(Lines):
    """Shows a record in full."""

    DEFAULT_CSS = "LogDetail { padding: 0 1; }"
    _shown: LogLine | None = None

    def show(self, record: LogLine | None) -> None:
        """Show a record from its first line, or nothing."""
        if record is self._shown:
            return
        self._shown = record
        self.scroll_home(animate=False, immediate=True)
        if record is None:
            self.show_lines([])
            return
        style, level = _level(record)
        color = {"log--error": "$error", "log--warning": "$warning"}.get(style, "$secondary")
        head = Content.styled(f"{date_and_clock(record.created)} {level}", f"bold {color}")
        self.show_lines([head, Content(""), *map(Content, map(visible, record.text.splitlines()))])


def _level(line: LogLine) -> tuple[str, str]:
    """Return the style and the word of a level."""
    if line.level >= logging.ERROR:
        return "log--error", "ERROR"
    return ("log--warning", "WARN") if line.level >= logging.WARNING else ("log--quiet", "INFO")


def _rows(line: LogLine, width: int, is_short: bool) -> Iterator[_Row]:
    """Yield the rows of a record; only the first with `is_short`, and then cut."""
    style, level = _level(line)
    lead = f"{clock(line.created)} {level}"
    texts = line.text.splitlines() or [""]
    if is_short:
        yield _Row(line, lead, style, fit(visible(texts[0]) + (ELLIPSIS if texts[1:] else ""), width))
        return
    for text in texts:
        for row in fold(visible(text), width):
            yield _Row(line, lead, style, row)
            lead = ""


_LEVELS = {
    logging.INFO: "all levels",
    logging.WARNING: "warnings and errors",
    logging.ERROR: "errors only",
}


class LogArea(TabArea):
    """The newest lines of the server's own log, from a level on."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("log")

    def __init__(self, context: TabContext) -> None:
        super().__init__()
        self._view = LogView(context.runtime.diagnostics)
        self._detail = LogDetail()

    def compose(self) -> ComposeResult:
        yield Split(self._view, self._detail, beside=0.4)

    def tick(self) -> None:
        self._view.is_short = self.has_class("-wide")
        self._view.tick()
        self.set_class(self._view.selected is not None, "-filled")
        if self.has_class("-wide"):
            self._detail.show(self._view.selected)

    def take_focus(self) -> None:
        self._view.focus()

    @property
    def behind(self) -> str:
        if not self._view.follow:
            return "not following"
        return "" if self._view.is_at_end else "more below"

    @property
    def remark(self) -> str:
        return _LEVELS[self._view.level]

    def action_follow(self) -> None:
        """Follow new lines, or stop following."""
        self._view.follow = not self._view.follow
        if self._view.follow:
            self._view.action_last()

    def action_level(self) -> None:
        """Show the next of: all levels, warnings and errors, errors."""
        levels = list(_LEVELS)
        self._view.level = levels[(levels.index(self._view.level) + 1) % len(levels)]
