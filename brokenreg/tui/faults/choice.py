"""The dialogue in which the user chooses a fault by typing."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.tui.bindings import KeyLine, bindings_of
from brokenreg.tui.listing import Listing, Row


class FaultChoice(ModalScreen[type[Fault] | None], inherit_bindings=False):
    """Lets the user choose a fault of the catalogue; the result is None if they cancel."""

    DEFAULT_CSS = """
    FaultChoice { align: center middle; }
    FaultChoice > Vertical { width: 130; max-width: 100%; height: 1fr; border: round $primary;
        background: $surface; padding: 0 1; }
    FaultChoice Input { background: $panel; }
    FaultChoice Listing { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("choose")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Choose a fault"
            yield Input(placeholder="Type to search", compact=True, max_length=100)
            listing = Listing()
            listing.can_focus = False
            yield listing
        yield KeyLine()

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
        self._listing.show(rows or [Row(None, "No fault matches.", "quiet")])
        self._listing.action_first()
