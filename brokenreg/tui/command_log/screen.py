"""The dialogue that lists the commands of the panel, to copy or save them as a script."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.command_log.command_log import CommandLog, script
from brokenreg.tui.dialogues import EVERY, Dialogue, say
from brokenreg.tui.file_dialogues import SavingDialogue
from brokenreg.tui.listing import Listing, Row
from brokenreg.tui.saving import Files
from brokenreg.tui.text import visible
from brokenreg.wording import counted


class CommandLogScreen(Dialogue[None], inherit_bindings=False):
    """Lists what was done in this panel, oldest first. `control_url` is the address for the script."""

    DEFAULT_CSS = """
    CommandLogScreen > Vertical { width: 130; height: 1fr; max-height: 100%; }
    CommandLogScreen Listing { height: 1fr; background: $surface; }
    CommandLogScreen .whole { max-height: 6; color: $secondary; border-top: solid $secondary 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("commands")
    can_undo = True

    def __init__(self, changes: CommandLog, files: Files, control_url: str | None) -> None:
        super().__init__("Command log: what you did in this panel")
        self._changes = changes
        self._files = files
        self._url = control_url
        self._lines: list[str] = []
        self._listing = Listing()
        self._whole = Static(markup=False, classes="whole")

    def content(self) -> ComposeResult:
        yield self._listing
        yield self._whole

    def on_mount(self) -> None:
        self._show()
        self._listing.focus()
        self.call_after_refresh(self._listing.action_last)
        self.set_interval(EVERY, self._show)

    def _show(self) -> None:
        """Show the commands, some of which may have been undone meanwhile."""
        lines = [line for each in self._changes for line in each.lines]
        if lines == self._lines and lines:
            return
        self._lines = lines
        rows = [
            Row(place, visible(line), "quiet" if line.startswith("#") else "")
            for place, line in enumerate(lines)
        ]
        self._listing.show(
            rows or [Row(None, "No commands yet: you have changed nothing in this panel.", "quiet")]
        )
        self.on_listing_moved()

    def on_listing_moved(self) -> None:
        """Show the whole command under the cursor, which may be longer than its row."""
        place = self._listing.selected
        if isinstance(place, int):
            self._whole.update(visible(self._lines[place]))

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action in ("copy", "copy_all", "save") and not self._lines:
            return "no commands yet; you have changed nothing in this panel"
        if action == "save" and self._files.saving_problem:
            return self._files.saving_problem
        return super().disabled_reason(action)

    def action_copy(self) -> None:
        """Copy the command under the cursor."""
        place = self._listing.selected
        if isinstance(place, int):
            self.app.copy_to_clipboard(self._lines[place])
            say(self, f"copied: {visible(self._lines[place])}")

    def action_copy_all(self) -> None:
        """Copy all commands as a shell script."""
        self.app.copy_to_clipboard(script(self._changes, self._url))
        say(self, f"copied {self._count} as a shell script")

    def action_save(self) -> None:
        """Save all commands as a shell script."""
        text = script(self._changes, self._url)
        self.app.push_screen(
            SavingDialogue("Save command log", f"Saves {self._count} as a shell script", self._files, text),
            self._saved,
        )

    def action_close(self) -> None:
        """Close the dialogue."""
        self.dismiss()

    def _saved(self, path: str | None) -> None:
        if path is not None:
            say(self, f"saved {self._count} to {visible(path)}")

    @property
    def _count(self) -> str:
        return counted(len(self._lines), "command")
