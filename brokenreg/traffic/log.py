"""The bounded log of exchanges that panel, output and control API read."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from brokenreg.traffic.exchange import Exchange

logger = logging.getLogger(__name__)

CAPACITY = 10_000
"""Exchanges kept unless told otherwise; at some 4 KiB each, 40 MiB at the very most."""

Listener = Callable[[Exchange], None]


class TrafficLog:
    """The newest exchanges in order of arrival; the oldest fall out.

    Readers that repaint compare `version`: it grows with every exchange that comes, changes or ends.
    `first` is the number of the oldest exchange still here, by position since the start (0, 1, 2, ...),
    which survives trimming as an index would not: `log[n]` for `first <= n < end`.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=capacity)
        self._listeners: list[Listener] = []
        self._next_id = 1
        self.first = 0
        self.version = 0
        self.in_flight = 0

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    def __getitem__(self, position: int) -> Exchange:
        if not self.first <= position < self.end:
            raise IndexError(position)
        return self._exchanges[position - self.first]

    @property
    def end(self) -> int:
        """One past the position of the newest exchange: how many there ever were."""
        return self.first + len(self._exchanges)

    def next_id(self) -> int:
        """The id of the next exchange; ids count from 1 and are never used twice."""
        self._next_id += 1
        return self._next_id - 1

    def opened(self, exchange: Exchange) -> None:
        """Take in an exchange whose request has come."""
        if len(self._exchanges) == self._exchanges.maxlen:
            self.first += 1
        self._exchanges.append(exchange)
        self.in_flight += 1
        self.version += 1

    def changed(self) -> None:
        """Say that an exchange in the log has changed."""
        self.version += 1

    def closed(self, exchange: Exchange) -> None:
        """Say that an exchange has ended, and tell the listeners."""
        self.in_flight -= 1
        self.version += 1
        for listener in self._listeners:
            try:
                listener(exchange)
            except Exception:
                # A broken log file must not break the registry that it reports on.
                logger.exception("a listener failed on exchange %d", exchange.id)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every exchange that ends from now on, on the loop."""
        self._listeners.append(listener)
