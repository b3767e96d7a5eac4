"""Panels of terminals that are attached over the network. They run in the loop of the server."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterable
from datetime import UTC, datetime
from functools import partial
from pkgutil import resolve_name
from typing import Any

from brokenreg.concurrency import background
from brokenreg.runtime.attaching import AttachedTerminal, End, TerminalConnection
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.filters import FilterError
from brokenreg.tui.app import Panel
from brokenreg.tui.areas import TABS
from brokenreg.tui.dialogues import warn
from brokenreg.tui.drivers.attached import AttachedDriver
from brokenreg.tui.drivers.newest_screen import NewestScreen
from brokenreg.tui.drivers.waiting_input import WaitingInput
from brokenreg.tui.keys import KeysError, keys_from
from brokenreg.tui.preferences import THEMES, Preferences
from brokenreg.tui.terminal import Terminal
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.filter_memory import named_filters

logger = logging.getLogger(__name__)

for _tab in TABS.values():  # otherwise the first panel would import them on the event loop
    resolve_name(_tab.area)


class AttachedFiles:
    """The files of an attached terminal. The server neither reads nor writes files for it."""

    opening_problem = 'this panel is attached: load the file with "brokenreg scenario load FILE"'

    def __init__(self, connection: TerminalConnection, folder: str | None) -> None:
        self._connection = connection
        self.place = f"to this file in {visible(folder or '')} on your machine"
        self.saving_problem = ""
        if folder is None:
            self.saving_problem = 'this terminal cannot save files: use "brokenreg attach" instead'

    def free_name(self, stem: str, suffix: str) -> str:
        """Return a name with the time in it: the server does not know the files of the terminal."""
        return f"{stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}{suffix}"

    async def save(self, name: str, pieces: AsyncIterable[str], *, overwrite: bool) -> str:
        """Send the file to the terminal, which never overwrites one. Raise `RefusedFileError`."""
        return await self._connection.save(name, pieces)


class AttachedPanel(Panel):
    """A panel among others in one process, whose failure is reported to its terminal."""

    end_reason = End.QUIT
    problem = ""
    """What is wrong with the preferences of the user, for a notice."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Textual would redirect them for as long as the panel is shown, and other panels end at other times.
        self._capture_stdout: Any = sys.stdout
        self._capture_stderr: Any = sys.stderr

    def on_mount(self) -> None:
        if self.problem:
            warn(self.screen, self.problem)

    def _fatal_error(self) -> None:
        logger.error("the panel of an attached terminal failed", exc_info=self._exception)
        self.end_reason = End.FAILED
        self._close_messages_no_wait()


def _preferences_of(terminal: AttachedTerminal) -> tuple[Preferences, str]:
    """Return the preferences of the user of a terminal, or none and what is wrong with them.

    The configuration of the user may be for another version of brokenreg.
    """
    try:
        keys = keys_from({name: each.split(",") for name, each in terminal.keys.items()})
        filters = named_filters(terminal.filters)
    except (KeysError, FilterError) as error:
        return Preferences(), f"this brokenreg cannot use the keys and filters of your configuration: {error}"
    return Preferences(terminal.theme if terminal.theme in THEMES else None, keys, filters), ""


class AttachedSession:
    """One attached terminal with its panel (an `AttachedPanel` of `runtime.attaching`)."""

    def __init__(
        self, runtime: Runtime, access: Access, terminal: AttachedTerminal, connection: TerminalConnection
    ) -> None:
        self._size = (terminal.columns, terminal.rows)
        self._screen = NewestScreen(connection.write)
        self._input = WaitingInput()
        preferences, problem = _preferences_of(terminal)
        self._panel = AttachedPanel(
            runtime,
            preferences,
            operations=Operations(runtime, access),
            terminal=Terminal(
                partial(
                    AttachedDriver,
                    screen=self._screen,
                    waiting_input=self._input,
                    environment=terminal.environment,
                ),
                terminal.environment,
                AttachedFiles(connection, terminal.folder),
                lambda: self._screen.is_ready,
                terminal.host,
            ),
        )
        self._panel.problem = problem

    async def run(self) -> End:
        """Show the panel until it ends, and return why."""
        async with background(self._screen.run(), self._input.run()):
            await self._panel.run_async(size=self._size)
        await self._screen.finish()
        return self._panel.end_reason

    async def feed(self, data: bytes) -> None:
        """Let the panel handle input later. Raise `ValueError` for a key without end."""
        if self._driver is not None:
            await self._driver.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        """Use another size."""
        self._size = (columns, rows)
        if self._driver is not None:
            self._driver.resize(columns, rows)

    def suspend(self) -> None:
        """Send nothing until `resume`."""
        self._screen.suspend()

    def resume(self) -> None:
        """Set up the terminal again, and send the whole screen."""
        if self._driver is not None:
            self._driver.enter()
        self._screen.resume()

    def end(self, reason: End) -> None:
        """Let `run` return with this reason."""
        self._panel.end_reason = reason
        self._input.close()
        self._panel.quit()

    @property
    def _driver(self) -> AttachedDriver | None:
        driver = self._panel._driver
        return driver if isinstance(driver, AttachedDriver) else None
