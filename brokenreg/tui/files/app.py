"""`brokenreg view`: the exchanges of a file in a terminal."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.bindings import KeyLine, bindings_of
from brokenreg.tui.files.view import FileView
from brokenreg.tui.key_app import KeyApp
from brokenreg.tui.notices import NOTICE_STYLE
from brokenreg.tui.preferences import Preferences
from brokenreg.tui.tabs import TabArea
from brokenreg.tui.terminal import OWN_TERMINAL

TICK = 0.1
"""Seconds between two ticks."""


class _Board(Screen[None], inherit_bindings=False):
    """The screen: it has no keys of its own, so that the table of commands has them all."""


class FileApp(KeyApp, inherit_bindings=False):
    """Shows a file until the user quits. `failure` is the error that ended it, if one did."""

    CSS = f"""
    Screen {{ background: $background; }}
    SearchIcon {{ display: none; }}
    {NOTICE_STYLE}
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("panel", "tab")

    def __init__(self, file: TrafficFile, preferences: Preferences | None = None) -> None:
        preferences = preferences or Preferences()
        super().__init__(preferences, OWN_TERMINAL)
        self.file = file
        self._view = FileView(file, preferences)
        self.failure: BaseException | None = None

    @property
    def may_change(self) -> bool:
        """Return that the user may only look."""
        return False

    def get_default_screen(self) -> Screen[None]:
        return _Board(id="_default")

    def compose(self) -> ComposeResult:
        yield self._view
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_interval(TICK, self.tick)
        self.tick()

    def tick(self) -> None:
        if self.is_running:
            self._view.tick()
            self.place_notice()
            self.refresh_footer()

    @property
    def place(self) -> Hashable:
        return self.screen

    @property
    def area(self) -> TabArea:
        return self._view.area

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action == "open_file":
            return 'a file is already open: run "brokenreg view FILE" for another one'
        if action == "overrides":
            return "a file has no rules; this panel is read-only"
        if action == "replica":
            return "a file has no replicas"
        if action == "commands":
            return "a file cannot be changed, so there are no commands"
        return super().disabled_reason(action)

    def action_overrides(self) -> None:
        """Do nothing; `disabled_reason` says why."""

    action_disable_all = action_open_file = action_undo = action_redo = action_commands = action_overrides
    action_replica = action_overrides

    def action_show_tab(self, name: str) -> None:
        """Say what another tab needs."""
        self._view.show_tab(name)

    def _fatal_error(self) -> None:
        """Quit without a traceback. Textual would show the values of all variables, which may be secret."""
        self.failure = self._exception
        self._close_messages_no_wait()
