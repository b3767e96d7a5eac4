"""The Log tab."""

from __future__ import annotations

import logging
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from brokenreg.tui.area import TabArea
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.log.view import LogView

_LEVELS = {
    logging.INFO: "all levels",
    logging.WARNING: "warnings and errors",
    logging.ERROR: "errors alone",
}


class LogArea(TabArea):
    """The server's own log, as far as it is kept, by level."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("log")

    def compose(self) -> ComposeResult:
        yield LogView(self.runtime.diagnostics)

    def tick(self) -> None:
        self._view.tick()

    def take_focus(self) -> None:
        self._view.focus()

    @property
    def behind(self) -> str:
        if not self._view.follow:
            return "follow is off"
        return "" if self._view.is_at_end else "newer below"

    @property
    def remark(self) -> str:
        return _LEVELS[self._view.level]

    def action_follow(self) -> None:
        """Go along with what comes, beginning at the newest; or do not."""
        self._view.follow = not self._view.follow
        if self._view.follow:
            self._view.action_last()

    def action_level(self) -> None:
        """Show the next of: all levels, warnings and errors, errors."""
        levels = list(_LEVELS)
        self._view.level = levels[(levels.index(self._view.level) + 1) % len(levels)]

    @property
    def _view(self) -> LogView:
        return self.query_one(LogView)
