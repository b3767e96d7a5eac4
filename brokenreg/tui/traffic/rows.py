"""Which exchanges the list shows, in which line. Free of Textual; the work is cut into slices."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import Filter
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.heights import Heights

_BATCH = 32
"""Exchanges between two looks at the clock; some 0.3 ms."""


def everything(exchange: Exchange) -> bool:
    """The filter of those who want none."""
    return True


class Rows:
    """The lines of the list: the exchanges of a log that pass a filter, in order of arrival.

    It takes in what has happened to the log when it is told to, and for no longer than it is told. An
    exchange in flight is asked again each time, as it may come to pass the filter, or cease to; one that has
    ended is not.
    """

    def __init__(
        self,
        log: TrafficLog,
        passes: Filter = everything,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._log = log
        self._passes = passes
        self._timer = timer
        self._generation = log.generation
        self._next = self._first = log.first
        self._taken: deque[Exchange] = deque()
        self._items: dict[int, int] = {}
        self._heights = Heights()
        self._open: deque[Exchange] = deque()

    def __len__(self) -> int:
        return self._heights.total

    @property
    def is_of_this_log(self) -> bool:
        """False once exchanges were forgotten, so that positions mean others: make new rows then."""
        return self._generation == self._log.generation

    @property
    def progress(self) -> float:
        """How much of the log it knows, from 0 to 1."""
        missing = self._log.end - max(self._next, self._log.first)
        return 1 - missing / len(self._log) if len(self._log) else 1.0

    def take_in(self, seconds: float) -> bool:
        """Work for at most so long; whether it is done. Those in flight are looked at again at last."""
        deadline = self._timer() + seconds
        while (self._first < self._log.first and self._taken) or self._next < self._log.end:
            for _ in range(_BATCH):
                self._step()
            if self._timer() >= deadline:
                return False
        self._ask_again(deadline)
        return True

    def row_at(self, line: int) -> Exchange:
        """What stands in a line. Raise `IndexError`."""
        item, _ = self._heights.item_at(line)
        return self._taken[item - self._heights.first]

    def line_of(self, row: Exchange) -> int:
        """The line of a row; of one that is not shown, the line where it would be; 0 for one that is gone."""
        item = self._items.get(row.id)
        return 0 if item is None else self._heights.line_of(item)

    def has(self, row: Exchange) -> bool:
        """Whether a row is shown."""
        item = self._items.get(row.id)
        return item is not None and self._heights[item] > 0

    def _step(self) -> None:
        if self._first < self._log.first and self._taken:
            self._trim()
        elif self._next < self._log.end:
            self._next = max(self._next, self._log.first)
            self._first = self._next if not self._taken else self._first
            self._take(self._log[self._next])
            self._next += 1

    def _take(self, exchange: Exchange) -> None:
        self._taken.append(exchange)
        self._items[exchange.id] = self._heights.append(int(self._passes(exchange)))
        if exchange.ended is None:
            self._open.append(exchange)

    def _trim(self) -> None:
        gone = self._taken.popleft()
        del self._items[gone.id]
        self._heights.trim()
        self._first += 1

    def _ask_again(self, deadline: float) -> None:
        for number in range(len(self._open)):
            if number % _BATCH == _BATCH - 1 and self._timer() >= deadline:
                return
            exchange = self._open.popleft()
            item = self._items.get(exchange.id)
            if item is None:
                continue
            self._heights[item] = int(self._passes(exchange))
            if exchange.ended is None:
                self._open.append(exchange)
