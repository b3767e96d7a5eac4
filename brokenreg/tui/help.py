"""The help: all commands by group, with the keys that they have now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.commands import grouped, keys_of
from brokenreg.tui.footer import KeyLine
from brokenreg.tui.scrolling import MOVES, Scrolling

_KEYS = 17
_TITLE = 14


class _Text(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """What scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """Over the panel, until it is closed."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > Vertical { width: 80; max-width: 100%; height: 90%; border: round $primary;
        background: $surface; }
    HelpScreen _Text { padding: 0 1; scrollbar-size-vertical: 1; }
    HelpScreen Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("help")

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = "Commands"
        with box, _Text():
            yield Static(Content.assemble(*_lines(self._keys)), markup=False)
        yield KeyLine()

    def action_close(self) -> None:
        """Back to the panel."""
        self.dismiss()


def _lines(keys: Mapping[str, str]) -> Iterator[str | tuple[str, str]]:
    for number, (group, commands) in enumerate(grouped()):
        yield ("\n" if number else "") + f"{group}\n", "bold $primary"
        for command in commands:
            spelled = "  ".join(keys_of(command, keys))
            yield f"  {spelled}{'':{max(1, _KEYS - cell_len(spelled))}}", "bold"
            yield f"{command.title:<{_TITLE}}"
            yield f"{command.help}\n", "$secondary"
