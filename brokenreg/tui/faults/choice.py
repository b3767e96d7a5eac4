"""The dialogue in which the user chooses a fault by typing."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.listing import Listing, Row


class FaultChoice(Dialogue[type[Fault] | None], inherit_bindings=False):
    """Lets the user choose a fault of the catalogue; the result is None if they cancel."""

    DEFAULT_CSS = """
    FaultChoice > Vertical { width: 130; height: 1fr; max-height: 100%; }
    FaultChoice Listing { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("choose")

    def __init__(self) -> None:
        super().__init__("Choose a fault")

    def content(self) -> ComposeResult:
        yield Input(placeholder="Search faults", compact=True, max_length=100)
        listing = Listing()
        listing.can_focus = False
        yield listing

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._listing.action_move(by)

    def action_choose(self) -> None:
        """Choose the fault under the cursor."""
        chosen = self._listing.selected
        if isinstance(chosen, str):
            self.dismiss(CATALOGUE[chosen])

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        self.action_choose()

    def action_cancel(self) -> None:
        """Choose none."""
        self.dismiss(None)

    @property
    def _listing(self) -> Listing:
        return self.query_one(Listing)

    def _search(self, text: str) -> None:
        """Show the faults that have all words of `text`, those whose names begin with it first."""
        words = text.lower().split()
        found = [
            kind
            for kind in CATALOGUE.values()
            if all(word in f"{kind.name} {kind.family()} {kind.summary()}".lower() for word in words)
        ]
        found.sort(key=lambda kind: not kind.name.startswith(text.lower().strip()))
        rows = [Row(kind.name, f"{kind.name:<17}{kind.summary()}") for kind in found]
        self._listing.show(rows or [Row(None, "No matching faults.", "quiet")])
        self._listing.action_first()
