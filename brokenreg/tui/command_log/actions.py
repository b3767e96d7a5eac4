"""The commands of the panel about what it did: undo, redo, and the list of commands."""

from __future__ import annotations

from textual.app import App
from textual.widgets import Input

from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.command_log.command_log import CommandLog
from brokenreg.tui.command_log.screen import CommandLogScreen
from brokenreg.tui.dialogues import say, warn
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.saving import Files
from brokenreg.tui.text import fit, visible

_SHOWN = 60
"""Cells of a command in a notice."""


class CommandLogActions(HasDisabledReasons):
    """Undo, redo and the list of commands, for a panel that has a `CommandLog` and the rest of these."""

    _changes: CommandLog
    _operations: Operations
    _runtime: Runtime
    _files: Files

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action == "undo" and not self._changes.next_undo:
            return "nothing to undo: only changes to the rules in this panel can be undone"
        if action == "redo" and not self._changes.next_redo:
            return "nothing to redo"
        if action in ("undo", "redo") and isinstance(self.app.focused, Input):
            return "leave the text field first"
        return super().disabled_reason(action)

    def action_undo(self) -> None:
        """Undo the last change to the rules that was made in this panel."""
        command = self._changes.next_undo
        try:
            self._changes.undo()
        except OperationError as error:
            warn(self.app.screen, f"cannot undo {_short(command)}: {error}")
        else:
            say(self.app.screen, f"undone: {_short(command)}; {{panel.redo}} redoes it")

    def action_redo(self) -> None:
        """Redo what was undone last."""
        command = self._changes.next_redo
        try:
            self._changes.redo()
        except OperationError as error:
            warn(self.app.screen, f"cannot redo {_short(command)}: {error}")
        else:
            say(self.app.screen, f"redone: {_short(command)}")

    def action_commands(self) -> None:
        """List what was done in this panel, as commands."""
        app: App[object] = self.app
        app.push_screen(CommandLogScreen(self._changes, self._files, self._runtime.status().control))


def _short(command: str) -> str:
    return fit(visible(command.removeprefix("brokenreg ")), _SHOWN).rstrip()
