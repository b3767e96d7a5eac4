"""The detail of a row: the line of panes, a head, and one pane."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.lines import Line, Lines
from brokenreg.tui.scrolling import MOVES
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.detail import transfer
from brokenreg.tui.traffic.detail.headers import Part, head
from brokenreg.tui.traffic.detail.panes import PANES
from brokenreg.tui.traffic.rows import Row
from brokenreg.tui.traffic.transfer import Kind, Transfer

_NAMES = tuple(PANES)


class Detail(Lines, inherit_bindings=False):
    """Shows one pane of an exchange, or a transfer as a whole, and updates it while it is in flight."""

    DEFAULT_CSS = "Detail { padding: 0 1; }"
    BINDINGS: ClassVar[list[BindingType]] = MOVES
    HEADING = 1

    def __init__(self, traffic: TrafficSource, clock: Callable[[], float]) -> None:
        super().__init__()
        self._traffic = traffic
        self._clock = clock
        self._row: Row | None = None
        self._kind: Kind | None = None
        self._pane = 0
        self._painted: Hashable = None

    def show(self, row: Row | None, kind: Kind | None = None) -> None:
        """Show `row` from its first line, or nothing for None. `kind` is the kind of its transfer."""
        self._kind = kind
        if row is not self._row:
            self._row = row
            self.scroll_home(animate=False)
        self.tick()

    @property
    def exchange(self) -> Exchange | None:
        """Return the exchange that is shown, or None."""
        return self._row if isinstance(self._row, Exchange) else None

    def turn(self, by: int) -> None:
        """Show the pane `by` places further in the table."""
        self._pane = (self._pane + by) % len(_NAMES)
        self.scroll_home(animate=False)
        self.tick()

    def tick(self) -> None:
        """Show the current state, if it has changed or is in flight."""
        now = self._clock()
        state = self._state(now)
        if state != self._painted:
            self._painted = state
            self.show_lines(_lines(self._parts(now)))

    def _state(self, now: float) -> Hashable:
        row, pane = self._row, PANES[_NAMES[self._pane]]
        if isinstance(row, Transfer):
            return row, transfer.state(row, now)
        if row is None:
            return None
        elapsed = "" if row.ended else cells.milliseconds(row, now)
        return row, row.revision, self._kind, elapsed, self._pane, pane.state(row, self._traffic)

    def _parts(self, now: float) -> Iterable[Part | Line]:
        row = self._row
        if isinstance(row, Transfer):
            return transfer.whole(row, now)
        if row is None:
            return ()
        return (
            *head(row, now, self._kind),
            ("\n", ""),
            *PANES[_NAMES[self._pane]].parts(row, self._traffic),
        )

    def heading(self) -> Content:
        """Return the line of panes; the current one is in reverse video."""
        if not isinstance(self._row, Exchange):
            return Content.styled(" Summary ", "bold reverse") if self._row else Content("")
        parts: list[Part] = []
        for place, name in enumerate(_NAMES):
            if place:
                parts.append(("│", "$secondary"))
            parts.append((f" {name} ", "bold reverse" if place == self._pane else ""))
        return Content.assemble(*parts)


def _lines(parts: Iterable[Part | Line]) -> list[Line]:
    """Parts that end their lines themselves, and whole lines among them."""
    lines: list[Line] = []
    begun: list[Part] = []

    def end() -> None:
        if begun:
            lines.extend(Content.assemble(*begun).split("\n"))
            begun.clear()

    for part in parts:
        if isinstance(part, tuple):
            begun.append(part)
        else:
            end()
            lines.append(part)
    end()
    return lines
