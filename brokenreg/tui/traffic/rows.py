"""The rows of the list of exchanges. Free of Textual; the work is done in slices."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable

from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.traffic.comparing.subjects import facts_of
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic.grouping import Transfers
from brokenreg.tui.traffic.heights import Heights
from brokenreg.tui.traffic.transfer import Transfer
from brokenreg.tui.traffic.view import View

_BATCH = 4
"""Number of exchanges between two reads of the clock: 50 µs, or up to 5 ms if bodies are searched."""

Row = Exchange | Transfer
"""What a line shows; a transfer is the heading of its exchanges."""


class Rows:
    """The lines of the list: the exchanges that pass the filter, in order of arrival or under headings.

    `update` reads the changes of the log, for a limited time. It filters an exchange in flight again each
    time, because the result may change; that of one that has ended does not. A transfer that has only one
    exchange has no heading.
    """

    def __init__(
        self, log: TrafficLog, view: View | None = None, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self._log = log
        self._view = view or View()
        self._timer = timer
        self._generation = log.generation
        self._next = self._first = log.first
        self._taken: deque[Exchange] = deque()
        self._units: deque[Row] = deque()
        self._heights = Heights()
        self._sizes = Heights()
        """The number of exchanges of each item, including folded ones, without its heading."""
        self._items: dict[int, int] = {}
        self._shown: dict[Transfer, list[Exchange]] = {}
        self._transfers = Transfers(self._read)
        self._open: deque[Exchange] = deque()
        self._routine: set[int] = set()

    def __len__(self) -> int:
        return self._heights.total

    @property
    def is_of_this_log(self) -> bool:
        """False after exchanges were deleted from the log, which changes positions: make new rows then."""
        return self._generation == self._log.generation

    def clear(self) -> None:
        """Let go of all exchanges, without waiting for a search for garbage, which is rare under load."""
        for each in (self._taken, self._units, self._items, self._shown, self._open):
            each.clear()
        del self._transfers

    @property
    def outdated(self) -> int:
        """Return about how many exchanges are kept here that the log has dropped."""
        return min(len(self._taken), self._log.first - self._first)

    @property
    def progress(self) -> float:
        """Return how much of the log was read, from 0 to 1."""
        missing = self._log.end - max(self._next, self._log.first)
        return 1 - missing / len(self._log) if len(self._log) else 1.0

    @property
    def routine(self) -> int:
        """Return how many of the exchanges that pass the filter are hidden as routine."""
        return len(self._routine)

    def update(self, seconds: float) -> bool:
        """Read the changes of the log for at most that time; return whether all were read."""
        deadline = self._timer() + seconds
        while (self._first < self._log.first and self._taken) or self._next < self._log.end:
            for _ in range(_BATCH):
                self._step()
            if self._timer() >= deadline:
                return False
        self._filter_again(deadline)
        return True

    def below(self, row: Row) -> int:
        """Return how many exchanges are below a row, without those that its heading hides."""
        exchange = row if isinstance(row, Exchange) else next(iter(row.members), row.first)
        item = self._items.get(exchange.id)
        if item is None:
            return self._sizes.total
        unit = self._units[item - self._heights.first]
        rest = self._sizes.total - self._sizes.line_of(item)
        if isinstance(unit, Exchange) or self._is_collapsed(unit):
            return rest - self._sizes[item]
        return rest if isinstance(row, Transfer) else rest - self._place(unit, exchange) - 1

    def row_at(self, line: int) -> Row:
        """Return what a line shows. Raise `IndexError`."""
        item, place = self._heights.item_at(line)
        unit = self._units[item - self._heights.first]
        if isinstance(unit, Exchange):
            return unit
        has_heading = unit.size > 1
        return unit if has_heading and place == 0 else self._shown[unit][place - has_heading]

    def line_of(self, row: Row) -> int:
        """Return the line of a row, or where it would be if it is hidden; 0 if it has left the log."""
        exchange = row if isinstance(row, Exchange) else next(iter(row.members), row.first)
        item = self._items.get(exchange.id)
        if item is None:
            return 0
        line, unit = self._heights.line_of(item), self._units[item - self._heights.first]
        if isinstance(unit, Exchange) or isinstance(row, Transfer) or self._is_collapsed(unit):
            return line
        return line + (unit.size > 1) + self._place(unit, exchange)

    def has(self, row: Row) -> bool:
        """Return whether a row is shown."""
        return len(self) > 0 and (line := self.line_of(row)) < len(self) and self.row_at(line) is row

    def beside(self, row: Row | None, ids: Iterable[int], by: int) -> Row | None:
        """Return the next row below `row` (`by` 1) or above it (-1) that contains one of these exchanges.

        The heading of a collapsed transfer contains its exchanges. The first row follows the last.
        Return None if none of the exchanges is in the list.
        """
        places = sorted({place for place in map(self._place_of, ids) if place is not None})
        if not places:
            return None
        here = self._here(row) or (-1, 0)
        found = bisect_right(places, here) if by > 0 else bisect_left(places, here) - 1
        return self._row_in(*places[found % len(places)])

    def transfer_of(self, exchange: Exchange, *, alone: bool = False) -> Transfer | None:
        """Return the transfer under whose heading an exchange is shown; with `alone`, also without one."""
        item = self._items.get(exchange.id)
        unit = None if item is None else self._units[item - self._heights.first]
        return unit if isinstance(unit, Transfer) and (alone or unit.size > 1) else None

    def learn(self, transfer: Transfer) -> None:
        """Read the manifests of a transfer that were received so far."""
        transfer.learn(self._read)

    def same(self, row: Row | None) -> Row | None:
        """Return the row of this list for a row of another list: its heading of the same transfer."""
        if not isinstance(row, Transfer):
            return row
        return self.transfer_of(next(iter(row.members), row.first)) or row

    def is_collapsed(self, transfer: Transfer) -> bool:
        """Return whether only the heading of a transfer is shown."""
        return transfer.first.id in self._view.collapsed

    def toggle(self, transfer: Transfer) -> None:
        """Collapse or expand a transfer."""
        self._view.collapsed.symmetric_difference_update({transfer.first.id})
        self._measure(transfer)

    def _here(self, row: Row | None) -> tuple[int, int] | None:
        if not isinstance(row, Transfer):
            return None if row is None else self._place_of(row.id)
        item = self._items.get(next(iter(row.members), row.first).id)
        return None if item is None else (item, 0)

    def _place_of(self, exchange_id: int) -> tuple[int, int] | None:
        """Return the item and the place in it of the row that shows an exchange; a heading has place 0."""
        item = self._items.get(exchange_id)
        if item is None or not self._heights[item]:
            return None
        unit = self._units[item - self._heights.first]
        if isinstance(unit, Exchange):
            return item, 1
        if self._is_collapsed(unit):
            return item, 0
        shown = self._shown[unit]
        place = bisect_left(shown, exchange_id, key=lambda each: each.id)
        return (item, place + 1) if place < len(shown) and shown[place].id == exchange_id else None

    def _row_in(self, item: int, place: int) -> Row:
        unit = self._units[item - self._heights.first]
        if isinstance(unit, Exchange) or place == 0:
            return unit
        return self._shown[unit][place - 1]

    def _is_collapsed(self, transfer: Transfer) -> bool:
        return transfer.size > 1 and self.is_collapsed(transfer)

    def _step(self) -> None:
        if self._first < self._log.first and self._taken:
            self._trim()
        elif self._next < self._log.end:
            self._next = max(self._next, self._log.first)
            self._first = self._first if self._taken else self._next
            self._take(self._log[self._next])
            self._next += 1

    def _take(self, exchange: Exchange) -> None:
        passes = self._passes(exchange)
        transfer = self._transfers.assign(exchange) if self._view.is_grouped else None
        self._taken.append(exchange)
        if exchange.ended is None:
            self._open.append(exchange)
        if transfer is None:
            self._units.append(exchange)
            self._items[exchange.id] = self._append(int(passes))
            return
        if transfer not in self._shown:
            self._units.append(transfer)
            self._shown[transfer] = []
            self._items[exchange.id] = self._append(0)
        else:
            self._items[exchange.id] = self._items[transfer.members[0].id]
        self._view.marks.joined(exchange, transfer)
        if passes:
            self._shown[transfer].append(exchange)
        self._measure(transfer)

    def _append(self, size: int) -> int:
        self._sizes.append(size)
        return self._heights.append(size)

    def _passes(self, exchange: Exchange) -> bool:
        """Return whether it is shown. Hidden routine exchanges are counted."""
        passes = self._view.passes(exchange)
        if passes and self._view.hides(exchange):
            self._routine.add(exchange.id)
            return False
        return passes

    def _trim(self) -> None:
        gone = self._taken.popleft()
        self._first += 1
        item = self._items[gone.id]
        unit = self._units[item - self._heights.first]
        if isinstance(unit, Transfer):
            self._show(unit, gone, False)
            unit.drop_first()
            if unit.members:
                self._measure(unit)
            else:
                del self._shown[unit]
                self._view.collapsed.discard(unit.first.id)
                self._view.marks.gone(unit)
        del self._items[gone.id]
        self._routine.discard(gone.id)
        while self._units and self._is_gone(self._units[0]):
            self._units.popleft()
            self._heights.trim()
            self._sizes.trim()

    def _is_gone(self, unit: Row) -> bool:
        return unit.id not in self._items if isinstance(unit, Exchange) else not unit.members

    def _filter_again(self, deadline: float) -> None:
        for number in range(len(self._open)):
            if number % _BATCH == _BATCH - 1 and self._timer() >= deadline:
                return
            exchange = self._open.popleft()
            item = self._items.get(exchange.id)
            if item is None:
                continue
            unit = self._units[item - self._heights.first]
            if isinstance(unit, Exchange):
                self._heights[item] = self._sizes[item] = int(self._passes(exchange))
            else:
                self._show(unit, exchange, self._passes(exchange))
            if exchange.ended is None:
                self._open.append(exchange)

    def _show(self, transfer: Transfer, exchange: Exchange, passes: bool) -> None:
        shown, place = self._shown[transfer], self._place(transfer, exchange)
        is_shown = place < len(shown) and shown[place] is exchange
        if is_shown and not passes:
            del shown[place]
        elif passes and not is_shown:
            shown.insert(place, exchange)
        self._measure(transfer)

    def _place(self, transfer: Transfer, exchange: Exchange) -> int:
        return bisect_left(self._shown[transfer], exchange.id, key=lambda each: each.id)

    def _measure(self, transfer: Transfer) -> None:
        item = self._items[transfer.members[0].id]
        lines = self._sizes[item] = len(self._shown[transfer])
        if lines and transfer.size > 1:
            lines = 1 + (0 if self.is_collapsed(transfer) else lines)
        self._heights[item] = lines

    def _read(self, exchange: Exchange) -> ManifestFacts:
        return facts_of(exchange, self._log.bodies.of(exchange))
