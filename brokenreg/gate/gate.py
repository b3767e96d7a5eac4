"""The gate: any response can be stopped on its way, looked at, let on by pieces, or cut.

Every exchange goes through by a `Passage` of its own. It stands open until it is told to stop before the
headers or at a byte of the body; what waits there waits until somebody resumes, steps or aborts it, or the
client disconnects.
"""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import NotHeldError, Order, Passage, Resume
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.wire.asgi import Send
from brokenreg.wire.connection_middleware import Stream


class Gate:
    """All passages of one server."""

    def __init__(self, log: TrafficLog) -> None:
        self._log = log
        self._passages: dict[int, Passage] = {}
        self._is_open_for_good = False
        self.breakpoints = Breakpoints()
        self.waiting: dict[int, Passage] = {}
        """The exchanges that are held, by id, in order of their coming."""

    def passage(self, exchange: Exchange, stream: Stream, send: Send) -> Passage:
        """The way of one exchange; `Passage.close` when it is over."""
        passage = Passage(self, exchange, stream, send)
        self._passages[exchange.id] = passage
        return passage

    def stop(self, exchange_id: int, by: str, at: int | None = None) -> None:
        """Hold an exchange in flight: where it is, or at a byte. Raise `NotHeldError` if it is over.

        `by` says who wants it, for people.
        """
        passage = self._passages.get(exchange_id)
        if passage is None:
            raise NotHeldError(f"exchange {exchange_id} is not in flight")
        passage.exchange.mark(f"told to stop by {by}")
        passage.stop(passage.position if at is None else at, by)

    def head(self, exchange_id: int) -> EditableHead:
        """Status and headers that wait. Raise `NotHeldError` if it is not held, or they are gone."""
        return self._held(exchange_id).head

    def edit(self, exchange_id: int, head: EditableHead) -> Exchange:
        """Send these instead of those that wait. Raise `NotHeldError` as `head` does, or `HeadError`."""
        passage = self._held(exchange_id)
        passage.edit(head)
        return passage.exchange

    def can_stop(self, exchange: Exchange) -> bool:
        """Whether it is on its way through here, and not held already."""
        return exchange.id in self._passages and exchange.id not in self.waiting

    def order(self, exchange_id: int, order: Order) -> Exchange:
        """Carry out an order on a held exchange. Raise `NotHeldError`."""
        passage = self._held(exchange_id)
        passage.obey(order)
        return passage.exchange

    def order_all(
        self, order: Order, which: Callable[[Exchange], bool]
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Carry out an order on every held exchange that it concerns.

        The exchanges on which it was carried out, and those left alone, as it makes no sense for them.
        """
        done: list[Exchange] = []
        skipped: list[Exchange] = []
        for passage in tuple(self.waiting.values()):
            if which(passage.exchange):
                try:
                    passage.obey(order)
                    done.append(passage.exchange)
                except NotHeldError:
                    skipped.append(passage.exchange)
        return done, skipped

    def open_for_good(self) -> None:
        """Let everything go on, and hold nothing any more: we stop."""
        self._is_open_for_good = True
        self.order_all(Resume(), lambda _: True)

    @property
    def is_open_for_good(self) -> bool:
        return self._is_open_for_good

    def forget(self, exchange: Exchange) -> None:
        """The exchange is over."""
        self._passages.pop(exchange.id, None)

    def _held(self, exchange_id: int) -> Passage:
        passage = self.waiting.get(exchange_id)
        if passage is None:
            raise NotHeldError(f"exchange {exchange_id} is not held")
        return passage

    def hold(self, passage: Passage) -> None:
        """Its exchange waits from now on."""
        self.waiting[passage.exchange.id] = passage
        self._log.held(passage.exchange)

    def release(self, passage: Passage) -> None:
        """Its exchange does not wait any more."""
        del self.waiting[passage.exchange.id]
        self._log.released(passage.exchange)
