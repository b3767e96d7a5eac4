"""The dialogue in which the user chooses a filter that has a name or was used before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.choosing import Choice, Entry
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.filter_memory import FilterMemory


class FilterChoice(Choice, inherit_bindings=False):
    """Lets the user choose or remove a filter. The result is the filter, or None if they cancel."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("choose", "filters")

    def __init__(self, memory: FilterMemory) -> None:
        super().__init__("Recall filter", "filters", _entries(memory))
        self._memory = memory

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action in ("remove", "choose") and self._listing.selected is None:
            return "no filter is selected"
        return super().disabled_reason(action)

    def action_remove(self) -> None:
        """Remove the filter under the cursor from the history, and its names."""
        self._memory.forget(str(self._listing.selected))
        self.offer(_entries(self._memory))


def _entries(memory: FilterMemory) -> Iterator[Entry]:
    """Yield filters with names, then the others, the newest first."""
    for name, text in sorted(memory.names.items()):
        yield Entry(f"@{name}", "named", visible(text), text)
    for text in reversed(memory.history):
        if text not in memory.names.values():
            yield Entry("", "recent", visible(text), text)
