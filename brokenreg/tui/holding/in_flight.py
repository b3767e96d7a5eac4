"""What is in flight and what is held: a pane, a line above the footer, and their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from brokenreg.oci.sizes import format_size, whole_number
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import fit, fold, visible
from brokenreg.tui.traffic import cells, outcome

_SHORT = len("fabricating 100%")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def held_words(exchange: Exchange, now: float) -> str:
    """Return `HELD 12 s at 12 MiB by rule "hold layers"`, or an empty string if it is not held."""
    if exchange.held_since is None:
        return ""
    place = "the headers" if exchange.status is None else _exactly(exchange.response_bytes)
    age = max(0.0, now - exchange.held_since)
    return f"HELD {age:.0f} s at {place} by {visible(exchange.held_by or 'unknown')}"


def _exactly(size: int) -> str:
    """Return a size as `format_size` does, or in bytes if that would round it: a step must be visible."""
    unit = 1024 ** max(0, (size.bit_length() - 1) // 10)
    return format_size(size) if size * 10 % unit == 0 else f"{size:,} B"


def response_length(exchange: Exchange) -> int | None:
    """Return the Content-Length of the response's body, or None if that is unknown or there is no body."""
    return None if exchange.method == "HEAD" else whole_number(exchange.response_header("content-length"))


def bar(exchange: Exchange, width: int) -> str:
    """Return how much of the announced body has passed, in exactly `width` cells; dots if that is unknown."""
    total = response_length(exchange)
    if not total:
        return "·" * width
    eighths = min(width * 8, exchange.response_bytes * width * 8 // total)
    whole, part = divmod(eighths, 8)
    return f"{'█' * whole}{_EIGHTHS[part] if part else ''}".ljust(width, "·")


def progress_words(exchange: Exchange) -> str:
    """Return `12 MiB/98 MiB`, `12 MiB`, the progress of the work for it, or that no response has begun."""
    if exchange.status is None:
        return outcome.progress(exchange.progress, _SHORT) if exchange.progress else "no response yet"
    total = response_length(exchange)
    size = format_size(exchange.response_bytes)
    return size if total is None else f"{size}/{format_size(total)}"


_REQUEST_AT_LEAST = 20


class HeldLine(Static):
    """Shows the target of the keys, what holds it and for how long. Hidden while nothing is held."""

    DEFAULT_CSS = """
    HeldLine { dock: bottom; height: 1; display: none; text-wrap: nowrap; background: $panel; }
    HeldLine.-held { display: block; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown = ""

    def show(self, exchange: Exchange | None, now: float) -> None:
        """Show an exchange, painting only changes; None hides the line."""
        words = "" if exchange is None else _words(exchange, now, self.app.size.width)
        if words != self._shown:
            self._shown = words
            self.set_class(bool(words), "-held")
            self.update(Content.styled(words, "bold $warning"), layout=False)


def _words(exchange: Exchange, now: float, width: int) -> str:
    held = held_words(exchange, now) or "sending the next step"
    head = f"─ #{exchange.label} "
    room = max(_REQUEST_AT_LEAST, width - cell_len(head) - cell_len(held) - 1)
    return fit(f"{head}{cells.request_line(exchange, room)} {held}", width)


_SHOWN, _SHOWN_NARROW = 6, 4
"""Responses; those that are held come first."""

_WIDE = 72
"""Cells from which a request and its progress are in the same line."""

_BAR = 10

_Part = tuple[str, str]


class InFlight(Static):
    """A line for each response in flight, and one below it for what holds it."""

    DEFAULT_CSS = """
    InFlight { display: none; height: auto; max-height: 15; padding: 0 1; text-wrap: nowrap;
        border-top: solid $secondary 50%; background: $surface; }
    """

    def __init__(self, traffic: TrafficSource, clock: Callable[[], float]) -> None:
        super().__init__(markup=False)
        self._traffic = traffic
        self._clock = clock
        self._shown: list[_Part] = []

    def tick(self, target: Exchange | None) -> None:
        """Show the current state; `target` is the response that the keys are for."""
        lines = [*self._lines(target)] if self.display else []
        if lines != self._shown:
            has_grown = len(lines) != len(self._shown)
            self._shown = lines
            self.update(Content("\n").join(Content.styled(*line) for line in lines), layout=has_grown)

    def _lines(self, target: Exchange | None) -> Iterator[_Part]:
        width, now = self.content_size.width, self._clock()
        count = self._traffic.log.in_flight
        yield fit(f"In flight: {count or 'none'}", width), "bold $secondary"
        shown = [*islice(self._exchanges(), _SHOWN if width >= _WIDE else _SHOWN_NARROW)]
        for exchange in shown:
            held = held_words(exchange, now)
            mark = "▌" if exchange is target else " "
            style = "bold $warning" if held else "$foreground"
            done = f"{bar(exchange, _BAR)} {progress_words(exchange)}"
            room = width - 3 - (cell_len(done) + 1 if width >= _WIDE else 0)
            line = f"{mark}{cells.glyph(exchange)} {fit(cells.request_line(exchange, room), room)}"
            yield (f"{line} {done}" if width >= _WIDE else line), style
            if width < _WIDE:
                yield fit(f"{mark}  {done}", width), style
            if held:
                yield from (
                    (f"{mark}  {row}", "$warning") for row in fold(f"#{exchange.label} {held}", width - 3)
                )
        if count > len(shown):
            yield fit(f"   and {count - len(shown)} more", width), "$secondary"

    def _exchanges(self) -> Iterator[Exchange]:
        for passage in self._traffic.gate.held.values():
            yield passage.exchange
        for exchange in self._traffic.log.under_way.values():
            if exchange.held_since is None:
                yield exchange
