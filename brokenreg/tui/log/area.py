"""The Log tab: the lines of the server's log, folded to the width of the screen (Line API)."""

from __future__ import annotations

import logging
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.scroll_view import ScrollView
from textual.strip import Strip

from brokenreg.diagnostics import Diagnostics, LogLine
from brokenreg.http.dates import clock
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.scrolling import MOVES, Scrolling, set_lines
from brokenreg.tui.tabs import TabArea, TabContext
from brokenreg.tui.text import fold, visible

_LEAD = 17
"""Cells of time and level, before the text."""

_Row = tuple[str, str, str]
"""Time and level, if the row has them; the style of the level; text."""


class LogView(ScrollView, Scrolling, can_focus=True, inherit_bindings=False):
    """Log lines of at least `level`. At the end, and while `follow` is on, it scrolls to new lines."""

    DEFAULT_CSS = """
    LogView { background: $background; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    LogView > .log--quiet { color: $secondary; }
    LogView > .log--warning { color: $error; }
    LogView > .log--error { color: $error; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--quiet", "log--warning", "log--error"}
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__()
        self.follow = True
        self.level = logging.INFO
        self._diagnostics = diagnostics
        self._rows: list[_Row] = []
        self._shown: tuple[int, int, int] | None = None

    @property
    def is_at_end(self) -> bool:
        """Return whether the last line is visible."""
        return self.scroll_offset.y >= self.max_scroll_y

    def tick(self) -> None:
        """Show what was logged since the last tick."""
        width = self.scrollable_content_region.width
        state = (self._diagnostics.version, self.level, width)
        if state == self._shown or width <= _LEAD:
            return
        is_tailing = self._shown is None or (self.follow and self.is_at_end)
        self._shown = state
        lines = [line for line in self._diagnostics.lines() if line.level >= self.level]
        self._rows = [row for line in lines for row in _rows(line, width - _LEAD)]
        set_lines(self, width, max(1, len(self._rows)))
        if is_tailing:
            # By force: the scrollbar is not there yet when the rows become more than fit.
            self.scroll_end(animate=False, force=True, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Paint the visible line `y`."""
        width = self.scrollable_content_region.width
        number = self.scroll_offset.y + y
        if number >= len(self._rows):
            text = "  No log lines at this level." if number == 0 else ""
            return Strip([Segment(text, self.get_component_rich_style("log--quiet"))]).adjust_cell_length(
                width, self.rich_style
            )
        lead, style, text = self._rows[number]
        segments = [
            Segment(f"{lead:<{_LEAD}}", self.get_component_rich_style(style)),
            Segment(text, self.rich_style),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def on_resize(self) -> None:
        """Fold the lines again."""
        self.tick()


def _rows(line: LogLine, width: int) -> list[_Row]:
    when = clock(line.created)
    if line.level >= logging.ERROR:
        style, level = "log--error", "ERROR"
    elif line.level >= logging.WARNING:
        style, level = "log--warning", "WARN"
    else:
        style, level = "log--quiet", "INFO"
    rows = [row for each in line.text.splitlines() or [""] for row in fold(visible(each), width)]
    return [(f" {when} {level}" if number == 0 else "", style, text) for number, text in enumerate(rows)]


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

    def compose(self) -> ComposeResult:
        yield self._view

    def tick(self) -> None:
        self._view.tick()

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
