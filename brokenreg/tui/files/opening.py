"""Opens a file over a panel: the dialogue that asks for its path, and the screen that shows it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Static

from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.formats import UnreadableFileError
from brokenreg.traffic.saved.traffic_file import CAPACITY, TrafficFile
from brokenreg.tui.bindings import KeyLine, bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.files.view import FileView
from brokenreg.tui.text import visible

_MOST_NAMES = 10_000
"""Number of names in a folder that are looked at to complete a path."""

_TICK = 0.1
"""Seconds between two ticks."""


class OpenDialogue(Dialogue[TrafficFile | None], inherit_bindings=False):
    """Asks for the path of a file with exchanges. The result is the open file, or None."""

    DEFAULT_CSS = """
    OpenDialogue #problem { min-height: 1; color: $error; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("open")

    def __init__(self) -> None:
        super().__init__("Open file")

    def content(self) -> ComposeResult:
        yield Static("Shows the exchanges of a HAR file or a log. Path:", markup=False)
        yield Input(compact=True, max_length=4096, suggester=_Paths(case_sensitive=True, use_cache=False))
        yield Static(id="problem", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self) -> None:
        self.query_one("#problem", Static).update("")

    async def action_complete(self) -> None:
        """Complete the path as far as it is unique."""
        field = self.query_one(Input)
        path = await asyncio.to_thread(completed, field.value)
        field.value = path or field.value
        field.cursor_position = len(field.value)

    async def action_open(self) -> None:
        """Open the file."""
        name = self.query_one(Input).value.strip()
        try:
            path = Path(name).expanduser()  # noqa: ASYNC240 - it only looks up the user's home
            log = TrafficLog(CAPACITY)
            self.dismiss(await asyncio.to_thread(TrafficFile, path, log))
        except (UnreadableFileError, RuntimeError) as error:
            said = str(error) if name else "type the path of a file, for example exchanges.har"
            self.query_one("#problem", Static).update(visible(said))

    def action_cancel(self) -> None:
        """Open nothing."""
        self.dismiss(None)


class OpenedFile(ModalScreen[None], HasDisabledReasons, inherit_bindings=False):
    """Shows a file over the panel, until it is closed."""

    DEFAULT_CSS = "OpenedFile { align: left top; background: $background; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("opened")

    def __init__(self, view: FileView) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        yield self._view
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_interval(_TICK, self._view.tick)
        self._view.tick()

    async def action_close(self) -> None:
        """Go back to the list if an exchange is open; else close the file."""
        if self._view.area.can_go_back:
            await self.app.run_action("back", self._view.area)
        else:
            self.dismiss(None)


class _Paths(Suggester):
    """Suggests the rest of a path, as far as it is unique."""

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(completed, value)


def completed(text: str) -> str | None:
    """Return a path with the letters that all files which it can mean have in common, or None."""
    before, slash, part = text.rpartition("/")
    try:
        with os.scandir(Path(before + slash or ".").expanduser()) as found:
            entries = [each for _, each in zip(range(_MOST_NAMES), found, strict=False)]
            names = [
                each.name + ("/" if each.is_dir() else "")
                for each in entries
                if each.name.startswith(part) and (part or not each.name.startswith("."))
            ]
    except (OSError, RuntimeError, ValueError):
        return None
    common = os.path.commonprefix(names)  # noqa: RUF071 - letters, not components
    return f"{before}{slash}{common}" if text and len(common) > len(part) else None
