"""The commands for marks, and the comparison of what is marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.widget import Widget

from brokenreg.traffic.log import TrafficLog
from brokenreg.tui.dialogues import say
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.saving import Files
from brokenreg.tui.traffic.compare.screen import CompareScreen
from brokenreg.tui.traffic.compare.sides import NOTHING_MARKED
from brokenreg.tui.traffic.table import TrafficTable
from brokenreg.tui.traffic.transfer import Transfer


class Marking(Widget, HasDisabledReasons):
    """The commands for marks, for a widget with the list of exchanges. Put it last among the bases."""

    _log: TrafficLog
    _table: TrafficTable
    _files: Files
    _clock: Callable[[], float]

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return the commands for a heading, and with a mark that for comparing."""
        titles: dict[str, str] = {}
        if isinstance(self._table.row, Transfer):
            way = "Expand" if self._table.is_collapsed else "Collapse"
            titles = {"traffic.expand": way, "traffic.mark": ""}
        return {**titles, "traffic.compare": ""} if self._table.marks else titles

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        match action:
            case "mark" if self._table.row is None:
                return "no row is selected"
            case "go_marked" | "clear_marks" if not self._table.marks:
                return "nothing is marked; {traffic.mark} marks the selected row"
            case "compare" if not self._table.marks:
                return NOTHING_MARKED
        return super().disabled_reason(action)

    def action_mark(self) -> None:
        """Mark what is under the cursor, or remove its mark."""
        self._table.toggle_mark()

    def action_go_marked(self, by: int) -> None:
        """Put the cursor on the next marked row, or on the previous one."""
        if not self._table.go_to_marked(by):
            key = "{traffic.routine}" if self._table.routine else "{traffic.filter-toggle}"
            say(self, f"the marked rows are not in this list; {key} shows all")

    def action_clear_marks(self) -> None:
        """Remove all marks."""
        self._table.clear_marks()

    def action_compare(self) -> None:
        """Compare two marked items, or the marked one and that under the cursor."""
        sides = self._table.to_compare()
        if isinstance(sides, str):
            say(self, sides)
        else:
            self.app.push_screen(CompareScreen(sides, self._log.bodies, self._files, self._clock))
