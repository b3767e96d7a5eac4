"""The bounded log of exchanges that panel, output and control API read."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count, islice

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.exchange import Exchange

logger = logging.getLogger(__name__)

CAPACITY = 10_000
"""Exchanges kept unless told otherwise; at some 4 KiB each, 40 MiB at the very most, and 16 MiB of bodies."""


class ExchangeEvent(StrEnum):
    """What can happen to an exchange that somebody may want to be told of."""

    OPENED = "opened"
    HELD = "held"
    HOLD_ENDED = "hold-ended"
    ENDED = "ended"


Listener = Callable[[ExchangeEvent, Exchange], None]


class TrafficLog:
    """The newest exchanges in order of arrival; the oldest fall out.

    Readers that repaint compare `version`: it grows with every exchange that comes, changes or ends.
    `first` is the number of the oldest exchange still here, by position since the start (0, 1, 2, ...),
    which survives trimming as an index would not: `log[n]` for `first <= n < end`. Only `forget` makes
    positions mean other exchanges; `generation` grows then.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=capacity)
        self._by_id: dict[int, Exchange] = {}
        self._listeners: dict[ExchangeEvent, list[Listener]] = {happening: [] for happening in ExchangeEvent}
        self.next_id: Callable[[], int] = count(1).__next__
        """Returns the id of the next exchange; ids count from 1 and are never used twice."""
        self.first = 0
        self.version = 0
        self.generation = 0
        self.under_way: dict[int, Exchange] = {}
        """The exchanges that have not ended, by id, in order of arrival."""
        self.bodies = Bodies()

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    def __getitem__(self, position: int) -> Exchange:
        if not self.first <= position < self.end:
            raise IndexError(position)
        return self._exchanges[position - self.first]

    def newest(self, most: int) -> Iterator[Exchange]:
        """Return at most that many exchanges, the newest first."""
        return islice(reversed(self._exchanges), most)

    @property
    def end(self) -> int:
        """One past the position of the newest exchange: how many there ever were."""
        return self.first + len(self._exchanges)

    @property
    def in_flight(self) -> int:
        """How many exchanges have not ended."""
        return len(self.under_way)

    def find(self, exchange_id: int) -> Exchange | None:
        """The exchange with that id, if it is still here."""
        return self._by_id.get(exchange_id)

    def opened(self, exchange: Exchange) -> None:
        """Take in an exchange whose request has come."""
        if len(self._exchanges) == self._exchanges.maxlen:
            self.bodies.drop(self._exchanges[0])
            del self._by_id[self._exchanges[0].id]
            self.first += 1
        self._exchanges.append(exchange)
        self._by_id[exchange.id] = exchange
        self.under_way[exchange.id] = exchange
        self._tell(ExchangeEvent.OPENED, exchange)

    def changed(self, exchange: Exchange) -> None:
        """Note that an exchange in the log has changed."""
        exchange.revision += 1
        self.version += 1

    def held(self, exchange: Exchange) -> None:
        """Say that an exchange was stopped on its way."""
        self._tell(ExchangeEvent.HELD, exchange)

    def hold_ended(self, exchange: Exchange) -> None:
        """Say that an exchange is not held any more."""
        self._tell(ExchangeEvent.HOLD_ENDED, exchange)

    def closed(self, exchange: Exchange) -> None:
        """Say that an exchange has ended."""
        self.under_way.pop(exchange.id, None)
        self._tell(ExchangeEvent.ENDED, exchange)

    def forget(self, which: Callable[[Exchange], bool]) -> None:
        """Let go of some exchanges. Those that stay move up, so that `end` is what it was."""
        kept = []
        for exchange in self._exchanges:
            if which(exchange):
                self.bodies.drop(exchange)
            else:
                kept.append(exchange)
        self.first = self.end - len(kept)
        self._exchanges = deque(kept, self._exchanges.maxlen)
        self._by_id = {exchange.id: exchange for exchange in kept}
        self.generation += 1
        self.version += 1

    def subscribe(self, listener: Listener, *happenings: ExchangeEvent) -> Callable[[], None]:
        """Call `listener` when one of these happens from now on, on the loop. What is returned ends that."""
        for happening in happenings:
            self._listeners[happening].append(listener)

        def unsubscribe() -> None:
            for happening in happenings:
                self._listeners[happening].remove(listener)

        return unsubscribe

    def _tell(self, happening: ExchangeEvent, exchange: Exchange) -> None:
        self.version += 1
        for listener in tuple(self._listeners[happening]):
            try:
                listener(happening, exchange)
            except Exception:
                # A broken log file must not break the registry that it reports on.
                logger.exception("a listener failed on exchange %d", exchange.id)
