"""Which two pulls, pushes or exchanges are compared: those that are marked, or the one under the cursor."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.marks import MARK, Marks
from brokenreg.tui.traffic.rows import Row, Rows
from brokenreg.tui.traffic.transfer import Transfer

_TITLE = 500
PLURALS = {"exchange": "exchanges", "pull": "pulls", "push": "pushes"}
NOTHING_MARKED = "nothing to compare: mark two pulls, pushes or exchanges with {traffic.mark}"
_TOO_MANY = "more than two are marked: {traffic.mark} removes a mark, {traffic.clear-marks} all marks"
_ONLY_ONE = "only one is marked: mark another with {traffic.mark}, or move the cursor to it"


@dataclass(frozen=True, slots=True)
class Side:
    """A pull, a push or an exchange that is compared."""

    row: Row

    @property
    def exchanges(self) -> list[Exchange]:
        """Return its exchanges that are in the log, in order of arrival."""
        return [self.row] if isinstance(self.row, Exchange) else [*self.row.members]

    def title(self, width: int = _TITLE) -> str:
        """Return what it is, `visible`, in at most `width` cells: `PULL library/app:1.2`."""
        row = self.row
        return (
            cells.request_line(row, width) if isinstance(row, Exchange) else cells.transfer_line(row, width)
        )

    @property
    def noun(self) -> str:
        """Return `exchange`, `pull` or `push`. A pull or push with only HEAD requests is a pull."""
        if isinstance(self.row, Exchange):
            return "exchange"
        return str(self.row.kind or "pull").lower()

    @property
    def gone(self) -> int:
        """Return how many of its exchanges are no longer in the log."""
        return 0 if isinstance(self.row, Exchange) else self.row.size - len(self.row.members)

    @property
    def state(self) -> Hashable:
        """Return a value that differs if its exchanges have changed."""
        exchanges = self.exchanges
        return len(exchanges), sum(each.revision for each in exchanges)


def sides_to_compare(rows: Rows, log: TrafficLog, marks: Marks, row: Row | None) -> tuple[Side, Side] | str:
    """Return the two marked items, or the marked one and that under the cursor; or why there are none."""
    marked = _marked(rows, log, marks)
    if len(marked) > 2:
        return _TOO_MANY
    if len(marked) == 1 and row is not None:
        marked += [other for other in [_beside(rows, row, marked[0])] if other is not marked[0]]
    if len(marked) != 2:
        return _ONLY_ONE
    one, other = (Side(each) for each in _alike(rows, *marked))
    if one.noun != other.noun and not _is_open(one, other):
        return f"cannot compare {_a(one.noun)} with {_a(other.noun)}: mark two {_plurals(one, other)}"
    return one, other


def _a(noun: str) -> str:
    return f"{'an' if noun == 'exchange' else 'a'} {noun}"


def _plurals(one: Side, other: Side) -> str:
    return f"{PLURALS[one.noun]}, or two {PLURALS[other.noun]}"


def _marked(rows: Rows, log: TrafficLog, marks: Marks) -> list[Row]:
    """Return what is marked, but no more than three: whole pulls and pushes, and other exchanges."""
    found: dict[Row, None] = {}
    for exchange in marks.exchanges(log):
        transfer = rows.transfer_of(exchange)
        is_whole = transfer is not None and marks.sign(transfer) == MARK
        found[transfer if transfer is not None and is_whole else exchange] = None
        if len(found) > 2:
            break
    return [*found]


def _beside(rows: Rows, row: Row, marked: Row) -> Row:
    """Return what is compared with a marked item: the row under the cursor, or the pull that has it."""
    if isinstance(marked, Transfer) and isinstance(row, Exchange):
        return rows.transfer_of(row) or row
    return row


def _alike(rows: Rows, one: Row, other: Row) -> tuple[Row, Row]:
    """Return two items; an exchange that is alone in its pull or push counts as one."""

    def whole(row: Row, beside: Row) -> Row:
        is_part = isinstance(row, Exchange) and isinstance(beside, Transfer)
        return (rows.transfer_of(row, alone=True) or row) if is_part and isinstance(row, Exchange) else row

    return whole(one, other), whole(other, one)


def _is_open(one: Side, other: Side) -> bool:
    """Return whether one of two pulls or pushes had only HEAD requests, so that it can be either."""
    rows = one.row, other.row
    return all(isinstance(row, Transfer) for row in rows) and any(
        isinstance(row, Transfer) and row.kind is None for row in rows
    )
