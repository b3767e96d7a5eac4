"""The exchanges that the user has marked. Free of Textual."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.transfer import Transfer

MARK, MARK_OF_SOME = "◆", "◇"
"""The signs before a marked row, and before a heading some of whose exchanges are marked."""


class Marks:
    """The marked exchanges of a log, by id in order; and pulls and pushes that are marked as a whole.

    Exchanges that join such a pull or push later are marked as well (`joined`). The log does not know the
    marks, and filters do not change them. Marks of exchanges that have left the log are removed.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._ids: list[int] = []
        self._wholes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __contains__(self, exchange_id: int) -> bool:
        place = bisect_left(self._ids, exchange_id)
        return place < len(self._ids) and self._ids[place] == exchange_id

    def exchanges(self, log: TrafficLog) -> list[Exchange]:
        """Return the marked exchanges, in order of arrival."""
        return [found for found in map(log.find, self._ids) if found is not None]

    def sign(self, transfer: Transfer) -> str:
        """Return the sign before the heading of a transfer."""
        if transfer.first.id in self._wholes:
            return MARK
        members = transfer.members
        if not members or not self._is_any_within(members[0].id, members[-1].id):
            return " "
        return MARK_OF_SOME if any(each.id in self for each in members) else " "

    def toggle(self, exchange: Exchange, transfer: Transfer | None) -> None:
        """Mark an exchange, or remove its mark; then its `transfer` is no longer marked as a whole."""
        if exchange.id in self:
            self._ids.remove(exchange.id)
            if transfer is not None:
                self._wholes.pop(transfer.first.id, None)
        else:
            insort(self._ids, exchange.id)

    def toggle_whole(self, transfer: Transfer) -> None:
        """Mark all exchanges of a transfer, including later ones, or remove these marks."""
        of_it = {each.id for each in transfer.members}
        others = [each for each in self._ids if each not in of_it]
        if self._wholes.pop(transfer.first.id, None) is None:
            self._wholes[transfer.first.id] = max(of_it, default=0)
            others = sorted([*others, *of_it])
        self._ids = others

    def joined(self, exchange: Exchange, transfer: Transfer) -> None:
        """Mark an exchange that joins a transfer which is marked as a whole.

        An exchange is marked only once, so that the user can remove its mark.
        """
        newest = self._wholes.get(transfer.first.id)
        if newest is not None and exchange.id > newest:
            self._wholes[transfer.first.id] = exchange.id
            if exchange.id not in self:
                insort(self._ids, exchange.id)

    def gone(self, transfer: Transfer) -> None:
        """Forget a transfer, all of whose exchanges have left the log."""
        self._wholes.pop(transfer.first.id, None)

    def clear(self) -> None:
        """Remove all marks."""
        self._ids.clear()
        self._wholes.clear()

    def tick(self, log: TrafficLog) -> None:
        """Remove the marks of exchanges that have left the log."""
        if self._generation != log.generation:
            self._generation = log.generation
            self._ids = [each for each in self._ids if log.find(each) is not None]
            self._wholes.clear()
        elif self._ids and len(log):
            del self._ids[: bisect_left(self._ids, log[log.first].id)]

    def _is_any_within(self, first: int, last: int) -> bool:
        place = bisect_left(self._ids, first)
        return place < len(self._ids) and self._ids[place] <= last
