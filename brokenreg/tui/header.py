"""The line at the top: where the registry listens, how busy it is, what is held, what is armed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.runtime.fleet_traffic import FleetTraffic
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.disabled_reasons import may_change
from brokenreg.tui.tabs import TabContext
from brokenreg.tui.text import fit, visible
from brokenreg.wording import counted

SECONDS = 8
_BARS = "▁▂▃▄▅▆▇█"


class RequestRate:
    """Counts the exchanges of a log by the second in which they began. It reads each exchange once."""

    def __init__(self, log: TrafficLog) -> None:
        self._log = log
        self._seen = 0
        self._counts: Counter[int] = Counter()

    def tick(self, now: float) -> list[int]:
        """Return the number of requests in each of the last `SECONDS` seconds before `now`, oldest first."""
        first = int(now) - SECONDS
        for position in range(max(self._seen, self._log.first), self._log.end):
            self._counts[int(self._log[position].started)] += 1
        self._seen = self._log.end
        for second in [second for second in self._counts if second < first]:
            del self._counts[second]
        return [self._counts[second] for second in range(first, first + SECONDS)]


def sparkline(counts: list[int]) -> str:
    """Return one bar for each number; the largest number has the highest bar."""
    largest = max(counts)
    if largest == 0:
        return _BARS[0] * len(counts)
    return "".join(_BARS[round(count / largest * (len(_BARS) - 1))] for count in counts)


_NAME_SHOWN = 24
_WIDE = 100
"""Minimum width, in columns, at which the whole address is shown."""

_HELD_STYLE = "bold reverse $warning"
_FAULT_STYLE = "bold reverse $error"

Part = tuple[int, str, str]
"""Priority (the lowest is removed first if there is no room), text, style."""


class Header(Static):
    """The line at the top, which is painted only if it has changed."""

    DEFAULT_CSS = "Header { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap; }"

    def __init__(self, context: TabContext) -> None:
        super().__init__(markup=False)
        self._runtime = context.runtime
        self._clock = context.clock
        self._traffic: TrafficSource = context.runtime
        self._rate = RequestRate(self._traffic.log)
        status = self._runtime.status()
        self._url, self._version = status.registry[0], status.version
        self._shown: list[Part] = []

    def show_traffic(self, traffic: TrafficSource) -> None:
        """Show the rate and the numbers of this traffic."""
        self._traffic = traffic
        self._rate = RequestRate(traffic.log)

    def tick(self, behind: str) -> None:
        """Show the current state; `behind` is why the newest exchange is not visible, or empty."""
        parts = fitting([*self._parts(behind)], self.size.width - 2)
        if parts != self._shown:
            self._shown = parts
            line = Content("  ").join(Content.styled(text, style) for _, text, style in parts)
            self.update(line, layout=False)  # it is one line high, whatever it says

    def _parts(self, behind: str) -> Iterator[Part]:
        log, now = self._traffic.log, self._clock()
        address = self._url if self.size.width >= _WIDE else f":{self._url.rpartition(':')[2]}"
        yield 10, f"brokenreg {address}", "bold"
        yield (8, f"○ {behind}", "bold $secondary") if behind else (8, "● LIVE", "bold $success")
        if not may_change(self):
            yield 9, " READ-ONLY ", "bold reverse $primary"
        yield from self._replicas()
        yield from self._held(now)
        yield from self._armed()
        counts = self._rate.tick(now)
        yield 6, f"{counts[-1]} req/s", ""
        yield 5, sparkline(counts), "$primary"
        yield 4, f"{log.in_flight} in flight", ""
        yield 3, counted(log.end, "exchange"), ""
        yield 1, self._version, "$secondary"

    def _replicas(self) -> Iterator[Part]:
        """Yield which replica of a fleet is shown, and how many others do not respond."""
        traffic, replicas = self._traffic, self._runtime.replicas
        if isinstance(traffic, FleetTraffic):
            others = len(traffic.joined_replicas)
            all_shown = f"ALL {counted(others + 1, 'REPLICA', 'REPLICAS')}" if traffic.only is None else ""
            yield 9, f" {all_shown or f'REPLICA {traffic.only}'} ", "bold reverse $primary"
            if lost := len(traffic.lost_replicas):
                yield 9, f" {counted(lost, 'REPLICA', 'REPLICAS')} LOST ", _FAULT_STYLE
        elif replicas is not None:
            yield 7, f"replica {replicas.own}", "bold"

    def _held(self, now: float) -> Iterator[Part]:
        since = [passage.exchange.held_since for passage in self._traffic.gate.held.values()]
        if since:
            age = now - min((each for each in since if each is not None), default=now)
            yield 9, f" ⏸ {len(since)} HELD {max(0, age):.0f} s ", _HELD_STYLE

    def _armed(self) -> Iterator[Part]:
        books = self._runtime.rules
        armed = [active for _, active in books.all_rules() if active.is_armed]
        if len(armed) == 1:
            yield 9, f" FAULT {_armed_word(armed[0])} armed ", _FAULT_STYLE
        elif armed:
            yield 9, f" {len(armed)} FAULTS armed ", _FAULT_STYLE
        if off := len(books.switched_off):
            yield (7 if armed else 9), f" {counted(off, 'rule').upper()} DISABLED ", "bold reverse $primary"


def _armed_word(active: ActiveRule) -> str:
    rule = active.rule
    word = visible("+".join(map(_fault_word, rule.fault)))
    times = "" if rule.times is None else f"×{max(0, rule.times - active.applied)}"
    return fit(word, min(cell_len(word), _NAME_SHOWN)) + times


def _fault_word(fault: Fault) -> str:
    """Return the name of a fault (`truncate`), or its status if it has one (`503`)."""
    status = fault.parameters().get("status")
    return fault.name if status is None else str(status)


def fitting(parts: list[Part], width: int) -> list[Part]:
    """Return the parts with the highest priorities that fit."""
    while len(parts) > 1 and sum(cell_len(text) + 2 for _, text, _ in parts) - 2 > width:
        parts.remove(min(parts))
    return parts
