"""The terminal that shows a panel: its own, or one that is attached over the network."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from textual.driver import Driver

from brokenreg.tui.drivers.local import TerminalDriver
from brokenreg.tui.saving import Files, LocalFiles


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that shows a panel: how to reach it, what it can show, and where its user has files.

    `environment` has the variables of an attached terminal that say which colours it can show: TERM,
    COLORTERM and NO_COLOR. It is None for the terminal in which the server was started. `is_ready` returns
    whether it accepts output now. `host` is the host by which an attached terminal reached the server.
    """

    driver: Callable[..., Driver] = TerminalDriver
    environment: Mapping[str, str] | None = None
    files: Files = field(default_factory=LocalFiles)
    is_ready: Callable[[], bool] = _always
    host: str = ""

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
