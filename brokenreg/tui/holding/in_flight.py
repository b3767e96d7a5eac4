"""The pane of what is in flight: how far each response is, and what holds it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from textual.content import Content
from textual.widgets import Static

from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.area import Clock
from brokenreg.tui.holding import words
from brokenreg.tui.text import fit
from brokenreg.tui.traffic import cells

_SHOWN = 6
"""Responses; those that are held come first."""

_BAR = 10

_Part = tuple[str, str]


class InFlight(Static):
    """A line for each response in flight, and one below it for what holds it."""

    DEFAULT_CSS = """
    InFlight { display: none; height: auto; max-height: 15; padding: 0 1; text-wrap: nowrap;
        border-top: solid $secondary 50%; border-left: solid $secondary 50%; background: $surface; }
    """

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        super().__init__(markup=False)
        self._runtime = runtime
        self._clock = clock
        self._shown: list[_Part] = []

    def tick(self, target: Exchange | None) -> None:
        """Show how it is now; `target` is the one that orders are for."""
        lines = [*self._lines(target)] if self.display else []
        if lines != self._shown:
            has_grown = len(lines) != len(self._shown)
            self._shown = lines
            self.update(Content("\n").join(Content.styled(*line) for line in lines), layout=has_grown)

    def _lines(self, target: Exchange | None) -> Iterator[_Part]:
        width, now = self.content_size.width, self._clock()
        count = self._runtime.log.in_flight
        yield fit(f"In flight: {count or 'nothing'}", width), "bold $secondary"
        shown = [*islice(self._exchanges(), _SHOWN)]
        for exchange in shown:
            held = words.held(exchange, now)
            mark = "▌" if exchange is target else " "
            tail = f" {words.bar(exchange, _BAR)} {words.progress(exchange)}"
            room = max(12, width - len(tail) - 4)
            line = f"{mark}{cells.glyph(exchange)} {fit(cells.request_line(exchange, room), room)}{tail}"
            yield fit(line, width), "bold $warning" if held else "$foreground"
            if held:
                yield fit(f"{mark}  #{exchange.id} {held}", width), "$warning"
        if count > len(shown):
            yield fit(f"   and {count - len(shown)} more", width), "$secondary"

    def _exchanges(self) -> Iterator[Exchange]:
        for passage in self._runtime.gate.waiting.values():
            yield passage.exchange
        for exchange in self._runtime.log.under_way.values():
            if exchange.held_since is None:
                yield exchange
