"""The terminal that shows a panel. It may be closed at any moment."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Console
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Textual's driver, which drops its output after the terminal was closed.

    Otherwise Textual's output thread would end, its queue would fill, and the panel would wait forever.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = _ErrorFreeFile(self._file)


class _ErrorFreeFile:
    """The terminal's file as the driver uses it. Errors of writing are ignored."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that shows a panel: how to reach it, and what it can show.

    `environment` has the variables of an attached terminal that say which colours it can show: TERM,
    COLORTERM and NO_COLOR. It is None for the terminal in which the server was started.
    """

    driver: type[Driver] = TerminalDriver
    environment: Mapping[str, str] | None = None

    @property
    def is_attached(self) -> bool:
        """Return whether the panel is shown elsewhere. Quitting it then leaves the registry running."""
        return self.environment is not None

    @property
    def is_colourless(self) -> bool:
        """Return whether the user wants no colours (https://no-color.org)."""
        return "NO_COLOR" in (os.environ if self.environment is None else self.environment)

    def console(self) -> Console:
        """Return a console with the colours of an attached terminal. Textual never writes to it."""
        variables = {name: value for name, value in (self.environment or {}).items() if name != "NO_COLOR"}
        return Console(
            file=io.StringIO(),
            force_terminal=True,
            legacy_windows=False,
            highlight=False,
            emoji=False,
            safe_box=False,
            _environ=variables,
        )


OWN_TERMINAL = Terminal()
"""The terminal in which the server was started."""
