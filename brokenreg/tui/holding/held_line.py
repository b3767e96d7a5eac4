"""The line above the footer while anything is held."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.holding import words
from brokenreg.tui.text import fit
from brokenreg.tui.traffic import cells

_REQUEST_AT_LEAST = 20


class HeldLine(Static):
    """Which response the orders are for, what holds it and since when; not there while nothing is held."""

    DEFAULT_CSS = """
    HeldLine { dock: bottom; height: 1; display: none; text-wrap: nowrap; background: $panel; }
    HeldLine.-held { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown = ""

    def show(self, exchange: Exchange | None, now: float) -> None:
        """Paint again if something has changed; None takes the line away."""
        told = "" if exchange is None else _told(exchange, now, self.app.size.width)
        if told != self._shown:
            self._shown = told
            self.set_class(bool(told), "-held")
            self.update(Content.styled(told, "bold $warning"), layout=False)


def _told(exchange: Exchange, now: float, width: int) -> str:
    held = words.held(exchange, now) or "on its way to the next stop"
    head = f"─ #{exchange.id} "
    room = max(_REQUEST_AT_LEAST, width - cell_len(head) - cell_len(held) - 1)
    return fit(f"{head}{cells.request_line(exchange, room)} {held}", width)
