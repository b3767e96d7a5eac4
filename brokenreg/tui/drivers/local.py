"""The terminal in which brokenreg runs. It may be closed at any moment."""

from __future__ import annotations

import contextlib
import os
from typing import IO, Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Textual's driver, which drops its output after the terminal was closed.

    Otherwise Textual's output thread would end, its queue would fill, and the panel would wait forever.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = _ErrorFreeFile(self._file)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Return the size of the terminal itself: COLUMNS and LINES do not change with it."""
        try:
            return os.get_terminal_size(self._file.fileno())
        except OSError:
            return super()._get_terminal_size()


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
