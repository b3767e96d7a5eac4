"""The line above the footer that shows what a key just did, as the command that would do it."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from brokenreg.tui.command_log.command_log import CommandLog, Done
from brokenreg.tui.text import fit, visible

SHOWN_FOR = 12.0
"""Seconds after the change."""


class CommandLine(Static):
    """Shows the newest command for a while. Hidden otherwise."""

    DEFAULT_CSS = """
    CommandLine { height: 1; display: none; padding: 0 1; text-wrap: nowrap; background: $surface; }
    CommandLine.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._hidden: Done | None = None
        self._is_new = True
        self._shown = ""

    def tick(self, changes: CommandLog, now: float) -> None:
        """Show the newest command, if it was run after this line was mounted and not long ago."""
        newest = changes.newest
        if self._is_new:
            self._is_new, self._hidden = False, newest
        words = ""
        if newest is not None and newest is not self._hidden and now - newest.when < SHOWN_FOR:
            line = newest.lines[-1] if newest.is_undone else f"$ {newest.lines[-1]}"
            words = fit(visible(line), max(1, self.app.size.width - 2))
        if words != self._shown:
            self._shown = words
            self.set_class(bool(words), "-shown")
            self.update(Content.styled(words, "$secondary"), layout=False)
