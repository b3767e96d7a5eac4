"""What a panel and the connection to its attached terminal expect from each other.

The control API has the connection, and the panel has the screen. Neither imports the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from brokenreg.runtime.operations.access import Access


@dataclass(frozen=True, slots=True)
class AttachedTerminal:
    """A terminal elsewhere: its size in cells, and the variables that describe it (`TERM`, `NO_COLOR`)."""

    columns: int
    rows: int
    environment: Mapping[str, str]
    folder: str | None
    """The folder in which it saves files, for display; None if it cannot save files."""
    host: str = ""
    """The host, without a port, by which it reached the control API; empty if unknown."""
    theme: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    """The preferences of its user, which are not validated yet: keys by command, and filters by name."""


class End(StrEnum):
    """Why a panel ended."""

    QUIT = "quit"
    STOPPED = "stopped"
    FAILED = "failed"
    SILENT = "silent"
    REPLACED = "replaced"
    INVALID = "invalid"


class RefusedFileError(OSError):
    """The attached terminal did not save a file; the message says why."""


class TerminalConnection(Protocol):
    """The connection to an attached terminal, as its panel uses it."""

    async def write(self, data: bytes) -> None:
        """Send output. Return when the connection is ready for more. Do nothing if it has ended."""

    async def save(self, name: str, pieces: AsyncIterable[str]) -> str:
        """Save a file in the folder of the terminal, and return its path. Raise `RefusedFileError`."""


class AttachedPanel(Protocol):
    """A panel, as the connection to its terminal uses it."""

    async def run(self) -> End:
        """Show the panel until it ends, and return why."""

    async def feed(self, data: bytes) -> None:
        """Let the panel handle input, or drop what is too much. Raise `ValueError` if it never ends."""

    def resize(self, columns: int, rows: int) -> None:
        """Use another size."""

    def suspend(self) -> None:
        """Send nothing until `resume`."""

    def resume(self) -> None:
        """Set up the terminal again, and send the whole screen."""

    def end(self, reason: End) -> None:
        """Let `run` return with this reason."""


class PanelFactory(Protocol):
    """Creates a panel for each terminal that attaches."""

    async def __call__(
        self, access: Access, terminal: AttachedTerminal, connection: TerminalConnection
    ) -> AttachedPanel:
        """Return a panel that does not run yet."""
