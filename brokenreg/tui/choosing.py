"""The dialogue in which the user chooses one of many names by typing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.listing import Listing, Row


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, its family and what it means. The search finds all three.

    `result` is what is chosen: the name, if it is empty.
    """

    name: str
    family: str
    summary: str
    result: str = ""


class Choice(Dialogue[str | None], inherit_bindings=False):
    """Lets the user choose a name; the result is None if they cancel. `noun` is their plural."""

    DEFAULT_CSS = """
    Choice > Vertical { width: 130; height: 1fr; max-height: 100%; }
    Choice Listing { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("choose")

    def __init__(self, title: str, noun: str, entries: Iterable[Entry]) -> None:
        super().__init__(title)
        self._noun = noun
        self._field = Input(placeholder=f"Search {noun}", compact=True, max_length=100)
        self._listing = Listing()  # not looked up: reasons are asked for while the dialogue closes
        self._listing.can_focus = False
        self._entries = tuple(entries)

    def content(self) -> ComposeResult:
        yield self._field
        yield self._listing

    def on_mount(self) -> None:
        self._field.focus()
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._listing.action_move(by)
        self.moved()

    def on_click(self) -> None:
        self.moved()

    def moved(self) -> None:
        """Do something for the row that the cursor is on now. By default, do nothing."""

    def action_choose(self) -> None:
        """Choose the name under the cursor."""
        chosen = self._listing.selected
        if isinstance(chosen, str):
            self.dismiss(chosen)

    def on_cursor_list_opened(self) -> None:
        """Open the row after a double click."""
        self.action_choose()

    def action_cancel(self) -> None:
        """Choose none."""
        self.dismiss(None)

    def offer(self, entries: Iterable[Entry]) -> None:
        """Offer other entries."""
        self._entries = tuple(entries)
        self._search(self._field.value)

    def _search(self, text: str) -> None:
        """Show the entries that have all words of `text`, those whose names begin with it first."""
        words = text.lower().split()
        found = [
            each
            for each in self._entries
            if all(word in f"{each.name} {each.family} {each.summary}".lower() for word in words)
        ]
        found.sort(key=lambda each: not each.name.startswith(text.lower().strip()))
        width = max((len(each.name) for each in self._entries), default=0) + 2
        rows = [Row(each.result or each.name, f"{each.name:<{width}}{each.summary}") for each in found]
        self._listing.show(rows or [Row(None, f"No matching {self._noun}.", "quiet")])
        self._listing.action_first()
        self.moved()
