"""The detail of one exchange: the line of panes, a head, one pane. Nothing that a client sent is obeyed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from brokenreg.controlled import Controlled
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.area import Clock
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.detail.head import head
from brokenreg.tui.traffic.detail.panes import PANES

_NAMES = tuple(PANES)


class Detail(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """One pane of one exchange; it changes while the exchange is in flight."""

    DEFAULT_CSS = """
    Detail { background: $surface; padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Detail > Static { height: auto; text-wrap: nowrap; text-overflow: fold; }
    Detail > #panes { dock: top; height: 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = MOVES

    def __init__(self, controlled: Controlled, clock: Clock) -> None:
        super().__init__()
        self._controlled = controlled
        self._clock = clock
        self._exchange: Exchange | None = None
        self._pane = 0
        self._painted: Hashable = None

    def compose(self) -> ComposeResult:
        yield Static(id="panes", markup=False)
        yield Static(id="pane", markup=False)

    def show(self, exchange: Exchange | None) -> None:
        """Show `exchange` from its top; None shows nothing."""
        if exchange is not self._exchange:
            self._exchange = exchange
            self.scroll_home(animate=False)
        self.tick()

    @property
    def exchange(self) -> Exchange | None:
        """What is shown."""
        return self._exchange

    def turn(self, by: int) -> None:
        """Show a pane further on."""
        self._pane = (self._pane + by) % len(_NAMES)
        self.scroll_home(animate=False)
        self.tick()

    def tick(self) -> None:
        """Paint again if the exchange has changed, or is in flight."""
        exchange = self._exchange
        if exchange is None:
            if self._painted is not None:
                self._painted = None
                self.query_one("#panes", Static).update("")
                self.query_one("#pane", Static).update("")
            return
        now = self._clock()
        pane = PANES[_NAMES[self._pane]]
        elapsed = "" if exchange.ended else cells.milliseconds(exchange, now)
        state = (
            exchange.id,
            exchange.revision,
            elapsed,
            self._pane,
            pane.state(exchange, self._controlled),
        )
        if state != self._painted:
            self._painted = state
            self.query_one("#panes", Static).update(self._names())
            parts = [*head(exchange, now), ("\n", ""), *pane.parts(exchange, self._controlled)]
            self.query_one("#pane", Static).update(Content.assemble(*parts))

    def _names(self) -> Content:
        """The line of panes; the one in sight stands out without colour too."""
        parts: list[tuple[str, str]] = []
        for place, name in enumerate(_NAMES):
            if place:
                parts.append(("│", "$secondary"))
            parts.append((f" {name} ", "bold reverse" if place == self._pane else ""))
        return Content.assemble(*parts)
