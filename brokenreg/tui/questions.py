"""Dialogues that ask: whether to do something, and for one line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.footer import KeyLine

_BOX = """
    %(name)s { align: center middle; }
    %(name)s > Vertical { width: 78; max-width: 100%%; height: auto; max-height: 90%%; padding: 0 1;
        border: round %(color)s; background: $surface; }
    %(name)s Static { height: auto; }
"""


class Confirmation(ModalScreen[bool], inherit_bindings=False):
    """Asks before something that cannot be undone. The result is whether to do it.

    `title` says what would be done, `lines` what becomes of it; both are `visible`.
    """

    DEFAULT_CSS = _BOX % {"name": "Confirmation", "color": "$warning"}
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("confirm")

    def __init__(self, title: str, lines: tuple[str, ...]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Sure?"
            yield Static("\n".join((self._title, "", *self._lines)), markup=False)
        yield KeyLine()

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(True)

    def action_no(self) -> None:
        """Leave all as it is."""
        self.dismiss(False)


class QuitConfirmation(Confirmation):
    """Asks for confirmation before the registry stops and work is lost; `lines` list the work."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("Stop the registry and leave?", lines)


class Question(ModalScreen[str | None], inherit_bindings=False):
    """Asks for a line of text. The result is the text, or None if somebody thought better of it.

    `problem` says what is wrong with a text, in one line; empty if nothing is. It is asked as somebody types.
    """

    DEFAULT_CSS = (
        _BOX % {"name": "Question", "color": "$primary"}
        + """
    Question Input { background: $panel; }
    Question #problem { color: $warning; min-height: 1; }
    """
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("ask")

    def __init__(self, title: str, prompt: str, problem: Callable[[str], str]) -> None:
        super().__init__()
        self._title = title
        self._prompt = prompt
        self._problem = problem

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self._title
            yield Static(self._prompt, markup=False)
            yield Input(max_length=512, select_on_focus=False, compact=True)
            yield Static(id="problem", markup=False)
        yield KeyLine()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong with it so far."""
        self.query_one("#problem", Static).update(self._problem(event.value) if event.value else "")

    def action_answer(self) -> None:
        """Take it, if nothing is wrong with it."""
        text = self.query_one(Input).value
        problem = self._problem(text)
        self.query_one("#problem", Static).update(problem)
        if not problem:
            self.dismiss(text)

    def action_cancel(self) -> None:
        """Leave all as it is."""
        self.dismiss(None)
