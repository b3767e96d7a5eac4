"""The bounded log of exchanges, which the panel, the output and the control API read."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count, islice

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.disposal import dispose
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.memory import size_at_end, size_at_start
from brokenreg.traffic.redaction import forget_texts
from brokenreg.traffic.repetitions import Repetitions
from brokenreg.traffic.request_head import forget_heads
from brokenreg.traffic.tally import Tally

logger = logging.getLogger(__name__)

CAPACITY = 10_000
"""Default maximum number of exchanges."""

MEMORY = 64 * 1024 * 1024
"""Default maximum size of the log, in bytes."""

_EXAMINED = 100
"""How many exchanges one turn of the event loop examines for repetitions, which takes about 0.5 ms."""

_PART_OF_BODIES = 4
"""Divisor for the part of the log's memory that bodies may use: a quarter."""


class ExchangeEvent(StrEnum):
    """The events of exchanges that listeners can subscribe to."""

    OPENED = "opened"
    HELD = "held"
    HOLD_ENDED = "hold-ended"
    ENDED = "ended"


_OPENED, _ENDED = ExchangeEvent.OPENED, ExchangeEvent.ENDED

Listener = Callable[[ExchangeEvent, Exchange], None]


class TrafficLog:
    """The newest exchanges in order of arrival: at most `capacity`, and as many as fit into `memory` bytes.

    Exchanges in flight are counted and found by id, even if they were dropped from the list. `version`
    increases whenever an exchange begins, changes or ends, so that readers know when to repaint. `log[n]` is
    the n-th exchange since the start (0, 1, 2, ...), for `first <= n < end`. Positions stay the same when the
    oldest exchanges are dropped. Only `forget` changes them, and increases `generation`.
    """

    def __init__(self, capacity: int = CAPACITY, memory: int = MEMORY) -> None:
        self._capacity = capacity
        self._memory = memory
        self._counted = 0
        self._exchanges: deque[Exchange] = deque()
        self._by_id: dict[int, Exchange] = {}
        self._listeners: dict[ExchangeEvent, tuple[Listener, ...]] = dict.fromkeys(ExchangeEvent, ())
        self.next_id: Callable[[], int] = count(1).__next__
        """Returns the id of the next exchange. Ids count from 1 and are never reused."""
        self.first = 0
        self.newest_dropped = 0
        """The highest id of an exchange that was dropped because of the limits."""
        self.version = 0
        self.generation = 0
        self.under_way: dict[int, Exchange] = {}
        """The exchanges that have not ended, by id, in order of arrival."""
        self.bodies = Bodies(memory // _PART_OF_BODIES)
        self.tally = Tally()
        self._repetitions = Repetitions(self.find)
        self._examined = 0
        """The position of the first exchange whose repetition is not known yet."""
        self._keeps_repetitions = False
        self._find_repetitions = self.find_repetitions  # bound once, because every exchange refers to it

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    def __getitem__(self, position: int) -> Exchange:
        if not self.first <= position < self.end:
            raise IndexError(position)
        return self._exchanges[position - self.first]

    def newest(self, most: int) -> Iterator[Exchange]:
        """Return at most `most` exchanges, the newest first."""
        return islice(reversed(self._exchanges), most)

    @property
    def end(self) -> int:
        """Return the position after the newest exchange."""
        return self.first + len(self._exchanges)

    @property
    def in_flight(self) -> int:
        """Return the number of exchanges that have not ended."""
        return len(self.under_way)

    @property
    def size(self) -> int:
        """Return the memory of the log, in bytes."""
        return self._counted + self.bodies.length

    def find(self, exchange_id: int) -> Exchange | None:
        """Return the exchange with that id, or None if it has ended and is no longer in the log."""
        return self._by_id.get(exchange_id) or self.under_way.get(exchange_id)

    def find_repetitions(self, most: int | None = None) -> None:
        """Find out what new exchanges repeat: all of them, or up to `most`, the oldest first."""
        first, exchanges = self.first, self._exchanges
        examined = max(self._examined, first)
        self._examined = self.end if most is None else min(self.end, examined + most)
        for place in range(examined - first, self._examined - first):
            self._repetitions.add(exchanges[place])

    async def index_repetitions(self) -> None:
        """Find out what all exchanges repeat, a few per turn of the event loop.

        Do this before a filter needs it: otherwise, the filter examines the whole log in one turn.
        """
        while self.end - self._examined > _EXAMINED:
            self.find_repetitions(_EXAMINED)
            await asyncio.sleep(0)
        self.find_repetitions()

    def keep_repetitions(self) -> None:
        """Examine new exchanges a few at a time from now on, because a filter is evaluated for each."""
        if not self._keeps_repetitions:
            self._keeps_repetitions = True
            self.subscribe(self._examine_some, _ENDED)

    def _examine_some(self, _: ExchangeEvent, __: Exchange) -> None:
        if self.end - self._examined > _EXAMINED:
            self.find_repetitions(_EXAMINED)

    def opened(self, exchange: Exchange) -> None:
        """Add an exchange whose request has arrived."""
        self.under_way[exchange.id] = exchange
        self._add(exchange, size_at_start(exchange))
        self.version += 1
        if self._listeners[_OPENED]:
            self._notify(_OPENED, exchange)

    def answered(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Add a complete exchange, whose response was sent as a whole.

        For responses from memory, this replaces `opened`, `changed` and `closed`. `headers` are redacted.
        """
        exchange.answered(status, headers, 0 if exchange.method == "HEAD" else len(body))
        self.bodies.keep_whole(exchange, body)
        self._add(exchange, size_at_start(exchange) + size_at_end(exchange))
        self.version += 1
        if self._listeners[_OPENED]:
            self._notify(_OPENED, exchange)
        if self._listeners[_ENDED]:
            self._notify(_ENDED, exchange)

    def changed(self, exchange: Exchange) -> None:
        """Note that an exchange in the log has changed."""
        exchange.revision += 1
        self.version += 1

    def held(self, exchange: Exchange) -> None:
        """Report that an exchange is held."""
        self.version += 1
        self._notify(ExchangeEvent.HELD, exchange)

    def hold_ended(self, exchange: Exchange) -> None:
        """Report that an exchange is no longer held."""
        self.version += 1
        self._notify(ExchangeEvent.HOLD_ENDED, exchange)

    def closed(self, exchange: Exchange) -> None:
        """Report that an exchange has ended."""
        self.under_way.pop(exchange.id, None)
        if exchange.id in self._by_id:
            size = size_at_end(exchange)
            exchange.counted += size
            self._counted += size
            if self._counted + self.bodies.length > self._memory:
                self._drop_oldest()
        else:
            self._subtract(exchange)
        self.version += 1
        if self._listeners[_ENDED]:
            self._notify(_ENDED, exchange)

    def forget(self, which: Callable[[Exchange], bool]) -> None:
        """Remove some exchanges and free their memory. The others get new positions, and `end` stays."""
        if self.tally.next_position is not None:
            self.tally.bring_up_to_date(self)
        kept: list[Exchange] = []
        removed: list[Exchange] = []
        for exchange in self._exchanges:
            (removed if which(exchange) else kept).append(exchange)
        unexamined = sum(exchange.known_repetition is None for exchange in kept)
        for exchange in removed:
            self._subtract(exchange)
        self._examined = self.end - unexamined
        self.first = self.end - len(kept)
        self._exchanges = deque(kept)
        self._by_id = {exchange.id: exchange for exchange in kept}
        self._repetitions.forget({exchange.id for exchange in removed})
        self.generation += 1
        self.version += 1
        forget_texts()
        forget_heads()
        self.bodies.forget_shared()
        dispose(removed)

    def _add(self, exchange: Exchange, size: int) -> None:
        exchange.counted = size
        exchange.find_repetitions = self._find_repetitions
        self._counted += size
        self._by_id[exchange.id] = exchange
        self._exchanges.append(exchange)
        if len(self._exchanges) > self._capacity or self._counted + self.bodies.length > self._memory:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Drop the oldest exchanges until the others are within the limits, but never the newest."""
        exchanges, bodies, memory = self._exchanges, self.bodies, self._memory
        tally = self.tally
        is_beyond = True
        while is_beyond and len(exchanges) > 1:
            if tally.next_position is not None and self.first >= tally.next_position:
                tally.count_next(self)
            oldest = exchanges.popleft()
            number = oldest.id
            del self._by_id[number]
            self.newest_dropped = number
            bodies.drop(number)
            if number not in self.under_way:
                self._counted -= oldest.counted
            self.first += 1
            is_beyond = len(exchanges) > self._capacity or self._counted + bodies.length > memory

    def _subtract(self, exchange: Exchange) -> None:
        """Subtract the memory of a removed exchange, unless it is still in flight."""
        self.bodies.drop(exchange.id)
        if exchange.id not in self.under_way:
            self._counted -= exchange.counted

    def subscribe(self, listener: Listener, *events: ExchangeEvent) -> Callable[[], None]:
        """Call `listener` on the event loop for each of these events. Return a function that unsubscribes."""
        for event in events:
            self._listeners[event] += (listener,)

        def unsubscribe() -> None:
            for event in events:
                place = self._listeners[event].index(listener)
                self._listeners[event] = self._listeners[event][:place] + self._listeners[event][place + 1 :]

        return unsubscribe

    def _notify(self, event: ExchangeEvent, exchange: Exchange) -> None:
        for listener in self._listeners[event]:
            try:
                listener(event, exchange)
            except Exception:
                # For example, an error of the log file must not affect the registry.
                logger.exception("a subscriber failed for exchange %d", exchange.id)
