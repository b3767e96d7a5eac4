"""The marks of the rows in a list of exchanges."""

from __future__ import annotations

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.scrolling import CursorList
from brokenreg.tui.traffic.compare.sides import Side, sides_to_compare
from brokenreg.tui.traffic.marks import Marks
from brokenreg.tui.traffic.rows import Row, Rows
from brokenreg.tui.traffic.transfer import Transfer


class MarkedRows(CursorList):
    """A list of `Rows`, some of which the user has marked."""

    marks: Marks
    _rows: Rows
    _traffic: TrafficLog

    @property
    def row(self) -> Row | None:
        """Return the row under the cursor, or None."""
        raise NotImplementedError

    @property
    def is_collapsed(self) -> bool:
        """Return whether the row is a heading whose rows are hidden."""
        return isinstance(self.row, Transfer) and self._rows.is_collapsed(self.row)

    def toggle_mark(self) -> None:
        """Mark the row under the cursor (with a heading, all rows below it), or remove the marks."""
        row = self.row
        if isinstance(row, Transfer):
            self.marks.toggle_whole(row)
        elif row is not None:
            self.marks.toggle(row, self._rows.transfer_of(row))
        self.refresh()

    def clear_marks(self) -> None:
        """Remove all marks."""
        self.marks.clear()
        self.refresh()

    def go_to_marked(self, by: int) -> bool:
        """Put the cursor on the next or previous marked row; return whether there is one in the list."""
        row = self._rows.beside(self.row, self.marks, by)
        if row is not None:
            self._go(self._rows.line_of(row))
        return row is not None

    def to_compare(self) -> tuple[Side, Side] | str:
        """Return the two items to compare, or why there are none."""
        return sides_to_compare(self._rows, self._traffic, self.marks, self.row)
