"""What a tab shows."""

from __future__ import annotations

from collections.abc import Callable

from textual.containers import Container

from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.disabled_reasons import HasDisabledReasons

Clock = Callable[[], float]
"""Seconds since the epoch."""

WIDE = 120
"""Columns."""

SAID_FOR = 4.0
"""Seconds that a line can be read which is over soon."""


class TabArea(Container, HasDisabledReasons):
    """The part of the screen that belongs to one tab. Made once; looked after while it is in sight.

    It has the class `-wide` while there is room for panes beside each other.
    """

    DEFAULT_CSS = "TabArea { height: 1fr; }"

    def __init__(self, runtime: Runtime, clock: Clock, *, id: str) -> None:  # noqa: A002 - Textual's
        super().__init__(id=id)
        self.runtime = runtime
        self.clock = clock

    def on_resize(self) -> None:
        self.set_class(self.size.width >= WIDE, "-wide")

    def tick(self) -> None:
        """Show what has happened since the last tick. Ten times a second, while it is in sight."""

    def take_focus(self) -> None:
        """It has come in sight: let keys go where they are wanted."""
        raise NotImplementedError

    def say(self, line: str | None) -> None:
        """Tell something that is over soon, if there is something to tell. `visible`, if clients sent it."""
        if line:
            self.app.notify(line, markup=False, timeout=SAID_FOR)

    @property
    def behind(self) -> str:
        """Why it does not show the newest, in few words for the header; empty if it does."""
        return ""

    @property
    def remark(self) -> str:
        """What stands at the right of the line of tabs: a filter, a place. `visible`, if clients sent it."""
        return ""
