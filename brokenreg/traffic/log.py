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
"""Default number of exchanges: at most 4 KiB each, 40 MiB in all, and 16 MiB of bodies."""


class ExchangeEvent(StrEnum):
    """What can happen to an exchange that listeners can subscribe to."""

    OPENED = "opened"
    HELD = "held"
    HOLD_ENDED = "hold-ended"
    ENDED = "ended"


Listener = Callable[[ExchangeEvent, Exchange], None]


class TrafficLog:
    """The newest exchanges in order of arrival.

    Readers that repaint compare `version`, which grows whenever an exchange begins, changes or ends.
    `log[n]` is the n-th exchange since the start (0, 1, 2, ...), for `first <= n < end`; positions stay the
    same when the oldest exchanges are dropped. Only `forget` changes them; `generation` grows then.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=capacity)
        self._by_id: dict[int, Exchange] = {}
        self._listeners: dict[ExchangeEvent, tuple[Listener, ...]] = dict.fromkeys(ExchangeEvent, ())
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
        """Return the position after the newest exchange."""
        return self.first + len(self._exchanges)

    @property
    def in_flight(self) -> int:
        """Return the number of exchanges that have not ended."""
        return len(self.under_way)

    def find(self, exchange_id: int) -> Exchange | None:
        """Return the exchange with that id, or None if it is no longer in the log."""
        return self._by_id.get(exchange_id)

    def opened(self, exchange: Exchange) -> None:
        """Add an exchange whose request has arrived."""
        if len(self._exchanges) == self._exchanges.maxlen:
            self.bodies.drop(self._exchanges[0])
            del self._by_id[self._exchanges[0].id]
            self.first += 1
        self._exchanges.append(exchange)
        self._by_id[exchange.id] = exchange
        self.under_way[exchange.id] = exchange
        self._notify(ExchangeEvent.OPENED, exchange)

    def changed(self, exchange: Exchange) -> None:
        """Note that an exchange in the log has changed."""
        exchange.revision += 1
        self.version += 1

    def held(self, exchange: Exchange) -> None:
        """Report that an exchange is held."""
        self._notify(ExchangeEvent.HELD, exchange)

    def hold_ended(self, exchange: Exchange) -> None:
        """Report that an exchange is no longer held."""
        self._notify(ExchangeEvent.HOLD_ENDED, exchange)

    def closed(self, exchange: Exchange) -> None:
        """Report that an exchange has ended."""
        self.under_way.pop(exchange.id, None)
        self._notify(ExchangeEvent.ENDED, exchange)

    def forget(self, which: Callable[[Exchange], bool]) -> None:
        """Remove some exchanges. The others get new positions; `end` stays the same."""
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

    def subscribe(self, listener: Listener, *events: ExchangeEvent) -> Callable[[], None]:
        """Call `listener` on the event loop for each of these events; return what unsubscribes it."""
        for event in events:
            self._listeners[event] += (listener,)

        def unsubscribe() -> None:
            for event in events:
                place = self._listeners[event].index(listener)
                self._listeners[event] = self._listeners[event][:place] + self._listeners[event][place + 1 :]

        return unsubscribe

    def _notify(self, event: ExchangeEvent, exchange: Exchange) -> None:
        self.version += 1
        for listener in self._listeners[event]:
            try:
                listener(event, exchange)
            except Exception:
                # An error of the log file must not break the registry.
                logger.exception("a listener failed on exchange %d", exchange.id)
