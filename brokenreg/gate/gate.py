"""The gate: holds responses in flight, and steps, edits, resumes or aborts held ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import NotHeldError, Order, Passage, Resume
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import HoldRequested


class Gate:
    """The passages of one server.

    Each response that takes time passes the gate in a `Passage` of its own. It is held before its headers or
    at a byte of its body until the user resumes, steps or aborts it, or the client disconnects.
    """

    def __init__(self, log: TrafficLog) -> None:
        self._log = log
        self._in_flight: dict[int, Passage] = {}
        self.is_disabled = False
        self.breakpoints = Breakpoints()
        self.held: dict[int, Passage] = {}
        """The held exchanges, by id, in the order in which they were held."""

    @contextmanager
    def passing(self, passage: Passage) -> Iterator[None]:
        """Allow a response to be held during the block. One that is ready immediately has no passage."""
        self._in_flight[passage.exchange.id] = passage
        try:
            yield
        finally:
            del self._in_flight[passage.exchange.id]

    def passage_of(self, exchange: Exchange) -> Passage:
        """Return the passage of an exchange whose response passes the gate."""
        return self._in_flight[exchange.id]

    def can_hold(self, exchange: Exchange) -> bool:
        """Return whether an exchange is in flight and not held."""
        return exchange.id in self._in_flight and exchange.id not in self.held

    def hold(self, exchange_id: int, by: str, at: int | None = None) -> None:
        """Hold an exchange in flight, immediately or at a byte. Raise `NotHeldError` if it has ended.

        `by` names whoever holds it, for display.
        """
        passage = self._in_flight.get(exchange_id)
        if passage is None:
            raise NotHeldError(f"exchange {exchange_id} is not in flight")
        passage.exchange.add(HoldRequested(by))
        passage.hold(passage.position if at is None else at, by)

    def head(self, exchange_id: int) -> EditableHead:
        """Return the held status and headers. Raise `NotHeldError` if there are none."""
        return self._held(exchange_id).head

    def edit(self, exchange_id: int, head: EditableHead) -> Exchange:
        """Replace the held status and headers. Raise `NotHeldError` as `head` does, or `HeadError`."""
        passage = self._held(exchange_id)
        passage.edit(head)
        return passage.exchange

    def order(self, exchange_id: int, order: Order) -> Exchange:
        """Carry out an order on a held exchange. Raise `NotHeldError` if that is not possible."""
        passage = self._held(exchange_id)
        passage.schedule(order)
        return passage.exchange

    def order_all(
        self, order: Order, matches: Callable[[Exchange], bool]
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Carry out an order on every held exchange that matches.

        Return the exchanges on which it was carried out, and those on which it was not valid.
        """
        done: list[Exchange] = []
        skipped: list[Exchange] = []
        for passage in tuple(self.held.values()):
            if matches(passage.exchange):
                try:
                    passage.schedule(order)
                    done.append(passage.exchange)
                except NotHeldError:
                    skipped.append(passage.exchange)
        return done, skipped

    def disable(self) -> None:
        """Resume everything, and hold nothing from now on, because the server is stopping."""
        self.is_disabled = True
        self.order_all(Resume(), lambda _: True)

    def note_held(self, passage: Passage) -> None:
        """Record that the exchange of a passage is now held."""
        self.held[passage.exchange.id] = passage
        self._log.held(passage.exchange)

    def note_released(self, passage: Passage) -> None:
        """Record that the exchange of a passage is no longer held."""
        del self.held[passage.exchange.id]
        self._log.hold_ended(passage.exchange)

    def _held(self, exchange_id: int) -> Passage:
        passage = self.held.get(exchange_id)
        if passage is None:
            raise NotHeldError(f"exchange {exchange_id} is not held")
        return passage
