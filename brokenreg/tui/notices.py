"""Notices: where they appear, and for how long.

A notice covers the line of tabs and the names of the columns, which do not change by themselves. It never
covers what is held or in flight.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Any

from textual.app import App
from textual.widgets import ContentSwitcher

from brokenreg.tui.text import fold

NOTICE_STYLE = """
ToastRack { dock: top; align: left top; margin: 1 0 0 1; overflow: hidden; }
ToastHolder { align-horizontal: left; }
Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; background: $panel; text-style: bold; }
Toast.-warning { border-left: outer $error; }
Dialogue > ToastRack { dock: bottom; align: left bottom; margin: 0 0 1 1; }
"""
"""In a dialogue, a notice is above the keys: the box has its title at the top."""

_BESIDE = 4
"""Cells of a line that the text does not get: margin, bar and padding."""

_COVERED = 2
"""Lines of the panel that a notice may cover."""


class ShowsNotices(App[int]):
    """Shows the newest notice, until another screen or tab is shown."""

    _notice = ""
    _notice_ends = 0.0
    _notice_place: Hashable = None

    @property
    def place(self) -> Hashable:
        """Return a value that differs if another screen or tab is shown."""
        raise NotImplementedError

    def notify(self, message: str, *, timeout: float | None = None, **more: Any) -> None:
        """Show a notice in place of the previous one."""
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self._notice, self._notice_ends = message, time.monotonic() + seconds
        self._notice_place = self.place
        super().notify(message, timeout=seconds, **more)

    def on_notify(self) -> None:
        """Remove the previous notice. Textual adds the new one later, with the same message."""
        self._clear()

    def place_notice(self) -> None:
        """Remove a notice that belongs to another screen or tab. If one has many lines, make room for it."""
        if self._notice and (self._notice_place != self.place or time.monotonic() >= self._notice_ends):
            self._notice = ""
            self._clear()
        room = max(1, self.size.width - _BESIDE)
        rows = sum(len(fold(line, room)) for line in self._notice.split("\n"))
        content = self.screen_stack[0].query_one(ContentSwitcher)
        content.styles.margin = (max(0, rows - _COVERED), 0, 0, 0)

    def _clear(self) -> None:
        """Remove all notices, and the lines that they took.

        Textual removes only the text and leaves its holder, so the next notice would be a line further down.
        """
        self.clear_notifications()
        for holder in self.screen.query("ToastHolder"):
            holder.display = False
            holder.remove()
