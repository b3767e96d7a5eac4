"""Dialogues that every tab can use (a confirmation, a question, a document), and notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from brokenreg.storage.errors import StorageError
from brokenreg.tui.bindings import KeyLine, bindings_of
from brokenreg.tui.command_log.line import CommandLine
from brokenreg.tui.disabled_reasons import HasDisabledReasons
from brokenreg.tui.lines import Line, Lines, document_lines
from brokenreg.tui.text import visible

Result = TypeVar("Result")

EVERY = 0.5
"""Seconds between two looks of a dialogue at what others can change meanwhile."""

SAID_FOR = 4.0
"""Seconds that a notice of `say` can be read."""


def say(widget: Widget, line: str | None) -> None:
    """Show a notice for a few seconds, if `line` has one. Make it `visible` if clients sent some of it.

    Notices, remarks and reasons begin in lower case and have no full stop. Text in dialogues and of empty
    lists is in sentences.
    """
    if line:
        widget.app.notify(line, markup=False, timeout=SAID_FOR)


def warn(widget: Widget, problem: str) -> None:
    """Show a warning."""
    widget.app.notify(visible(problem), severity="warning", markup=False)


class Dialogue(ModalScreen[Result], HasDisabledReasons, inherit_bindings=False):
    """A box over the panel, with a title that names the action, and with its keys at the bottom.

    Commands of the panel are not available while it is open. `title` is `visible`.
    """

    DEFAULT_CSS = """
    Dialogue { align: center middle; }
    Dialogue > Vertical { width: 78; max-width: 100%; height: auto; max-height: 90%; padding: 0 1;
        border: round $primary; background: $surface; }
    Dialogue Static { height: auto; }
    Dialogue Input { background: $panel; }
    """

    can_undo: ClassVar[bool] = False
    """Whether undo and redo of the panel are available in it, because it shows what they change."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def content(self) -> ComposeResult:
        """Yield the widgets in the box."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield from self.content()
            yield CommandLine()
        yield KeyLine()


_TITLE = 70
"""Cells of a title that fit into the border of a dialogue."""


class Confirmation(Dialogue[bool], inherit_bindings=False):
    """Asks before something that cannot be undone. The result is whether to do it.

    `title` is the action as a question, `lines` are its consequences; both are `visible`.
    """

    DEFAULT_CSS = "Confirmation > Vertical { border: round $error; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("confirm")

    def __init__(self, title: str, lines: tuple[str, ...]) -> None:
        super().__init__(title)
        self._lines = lines if cell_len(title) <= _TITLE else (title, "", *lines)

    def content(self) -> ComposeResult:
        yield Static("\n".join(self._lines), markup=False)

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(True)

    def action_no(self) -> None:
        """Cancel: change nothing."""
        self.dismiss(False)


class QuitConfirmation(Confirmation):
    """Asks for confirmation before work is lost, which `lines` list; perhaps the registry stops, too."""

    def __init__(self, lines: tuple[str, ...], *, stops_registry: bool) -> None:
        super().__init__("Stop the registry and quit?" if stops_registry else "Quit?", lines)


class Question(Dialogue[str | None], inherit_bindings=False):
    """Asks for a line of text. The result is the text, or None if the user cancels.

    `problem` returns in one line what is wrong with a text, or an empty string. It is called at each change.
    """

    DEFAULT_CSS = "Question #problem { color: $error; min-height: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("ask")

    def __init__(self, title: str, prompt: str, problem: Callable[[str], str]) -> None:
        super().__init__(title)
        self._prompt = prompt
        self._problem = problem

    def content(self) -> ComposeResult:
        yield Static(self._prompt, markup=False)
        yield Input(max_length=512, select_on_focus=False, compact=True)
        yield Static(id="problem", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what is wrong with the text so far."""
        self.query_one("#problem", Static).update(self._problem(event.value) if event.value else "")

    def action_answer(self) -> None:
        """Return the text, if it is valid."""
        text = self.query_one(Input).value
        problem = self._problem(text)
        self.query_one("#problem", Static).update(problem)
        if not problem:
            self.dismiss(text)

    def action_cancel(self) -> None:
        """Cancel: change nothing."""
        self.dismiss(None)


SHOWN = 100_000
"""Bytes of a document that are read, and characters of it that are shown."""

_LABEL = 15

Fact = tuple[str, str]
"""A label, and a value as clients sent it."""
Read = Callable[[], Awaitable[tuple[bytes, int] | None]]
"""Returns at most the first `SHOWN` bytes of a document, and its size; None if it does not exist."""


class DocumentScreen(Dialogue[None], inherit_bindings=False):
    """Shows facts, and below them the text that `read` returns; without `read`, only the facts."""

    DEFAULT_CSS = """
    DocumentScreen > Vertical { width: 100%; height: 1fr; max-height: 100%; }
    DocumentScreen Static { height: auto; margin-bottom: 1; text-wrap: nowrap; text-overflow: fold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("document")

    def __init__(self, title: str, facts: list[Fact], read: Read | None) -> None:
        super().__init__(visible(title))
        self._facts = facts
        self._read = read

    def content(self) -> ComposeResult:
        yield Static(id="facts", markup=False)
        yield Lines()

    def on_mount(self) -> None:
        self._say("reading…" if self._read else "")
        if self._read:
            self.run_worker(self._load(self._read))

    def action_close(self) -> None:
        """Close the document."""
        self.dismiss()

    async def _load(self, read: Read) -> None:
        try:
            found = await read()
        except (OSError, StorageError) as error:
            self._say(f"cannot be read: {error}")
            return
        if found is None:
            self._say("not found")
            return
        body, size = found
        lines, is_whole = await read_lines(body, size)
        self._say("" if is_whole else "only the beginning is shown")
        self.query_one(Lines).show_lines(lines)

    def _say(self, remark: str) -> None:
        facts = [*self._facts, ("Content", remark)] if remark else self._facts
        parts: list[str | tuple[str, str]] = []
        for label, value in facts:
            end = "" if (label, value) == facts[-1] else "\n"
            parts += [(f"{label:<{_LABEL}}", "$secondary"), f"{visible(value)}{end}"]
        self.query_one("#facts", Static).update(Content.assemble(*parts))


async def read_lines(body: bytes, size: int) -> tuple[list[Line], bool]:
    """Return the lines of a document of `size` bytes that begins with `body`, and whether it is complete."""
    return await asyncio.to_thread(_lines, body, size)


def _lines(body: bytes, size: int) -> tuple[list[Line], bool]:
    text = body[:SHOWN].decode(errors="backslashreplace")
    lines, is_whole = document_lines(text, SHOWN)
    return lines, is_whole and size <= SHOWN
