"""The dialogue in which status and headers of a held response are edited before they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static, TextArea

from brokenreg.gate.edits import EditableHead, HeadError, numbered_duplicates
from brokenreg.gate.passage import Resume
from brokenreg.runtime.errors import InvalidError, OperationError
from brokenreg.runtime.lookups import waiting_head
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.text import visible


class EditScreen(Dialogue[None], inherit_bindings=False):
    """The status, and below it one header per line. What cannot be sent is reported as the user types."""

    DEFAULT_CSS = """
    EditScreen > Vertical { height: 80%; }
    EditScreen TextArea { height: 1fr; padding: 0; }
    EditScreen Static { height: auto; min-height: 1; max-height: 3; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("edit")

    def __init__(self, traffic: TrafficSource, operations: Operations, exchange: Exchange) -> None:
        super().__init__(f"Edit response of exchange {exchange.id}")
        self._operations = operations
        self._exchange = exchange
        self._waiting = waiting_head(traffic, exchange.id)

    def content(self) -> ComposeResult:
        # Values are octets: those that would move the cursor or reverse the text are escaped.
        yield TextArea(visible_lines(self._waiting), soft_wrap=True, compact=True)
        yield Static(markup=False)

    def on_mount(self) -> None:
        self._show_changes()

    def on_text_area_changed(self) -> None:
        """Show what would change, or what is wrong."""
        self._show_changes()

    def action_send(self) -> None:
        """Resume the response with the edited head."""
        try:
            self._operations.edit(self._exchange.id, self._typed())
            self._operations.carry_out(self._exchange.id, Resume())
        except (HeadError, InvalidError):
            return  # The dialogue shows what is invalid.
        except OperationError as error:
            self.query_one(Static).update(str(error))
            return
        self.dismiss()

    def action_cancel(self) -> None:
        """Change nothing; the response stays held."""
        self.dismiss()

    def _typed(self) -> EditableHead:
        """Return the edited head, with the original values where the user has changed nothing."""
        came = dict(_shown(self._waiting))
        typed = EditableHead.parse(self.query_one(TextArea).text)
        headers = tuple((name, came.get((name, value), value)) for name, value in typed.headers)
        return EditableHead(typed.status, headers)

    def _show_changes(self) -> None:
        try:
            changes = self._typed().changes_from(self._waiting, self._exchange.method)
        except HeadError as error:
            told = f"✗ {error}"
        else:
            told = f"▸ {changes}" if changes else "no changes yet"
        self.query_one(Static).update(visible(told))


def visible_lines(head: EditableHead) -> str:
    """Return a head as text to edit."""
    return str(EditableHead(head.status, tuple(header for header, _ in _shown(head))))


def _shown(head: EditableHead) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield each header as it can be shown, with its actual value."""
    shown = ((visible(name), visible(value).strip()) for name, value in head.headers)
    return numbered_duplicates(shown, (value for _, value in head.headers))
