"""What is picked out of the list, and what is left out of it, by keys: marks and noise."""

from __future__ import annotations

from brokenreg.tui.holding.area import HoldingArea
from brokenreg.tui.traffic.marks import MARK
from brokenreg.tui.traffic.table import TrafficTable


class SiftingArea(HoldingArea):
    """Marks are those of the table, and so is what it hides. It needs a `TrafficTable` within."""

    @property
    def remark(self) -> str:
        """How many are marked, and how many are hidden as noise."""
        table = self._table
        marked = f"{MARK} {len(table.marks)}" if table.marks else ""
        hidden = "" if table.noise is None else f"noise: {table.noise} hidden"
        return "  ".join(filter(None, (marked, hidden)))

    def disabled_reason(self, action: str) -> str:
        """Why a key would do nothing now."""
        match action:
            case "mark" if self._table.row is None:
                return "there is nothing under the cursor to mark"
            case "go_marked" | "clear_marks" if not self._table.marks:
                return "nothing is marked; {traffic.mark} marks what is under the cursor"
        return super().disabled_reason(action)

    def action_mark(self) -> None:
        """Mark what is under the cursor, or do not any more."""
        self._table.toggle_mark()

    def action_go_marked(self, by: int) -> None:
        """Put the cursor on the next marked row, or on the one before."""
        if not self._table.go_to_marked(by):
            key = "{traffic.noise}" if self._table.noise else "{traffic.filter-toggle}"
            self.say(f"what is marked is not in this list; {key} shows all")

    def action_clear_marks(self) -> None:
        """Mark nothing any more."""
        self._table.clear_marks()

    def action_noise(self) -> None:
        """Hide what nobody wants to see by default, or show it again."""
        self._table.toggle_noise()

    @property
    def _table(self) -> TrafficTable:
        return self.query_one(TrafficTable)
