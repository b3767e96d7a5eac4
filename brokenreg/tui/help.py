"""The help and the command palette: all commands, and those that are available now."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.commands import BY_ID, Command, grouped, keys_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.scrolling import MOVES, Scrolling

_KEYS = 17
_TITLE = 16


class _Text(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """The text of the help, which scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class HelpScreen(Dialogue[None], inherit_bindings=False):
    """Shows all commands with their keys over the panel."""

    DEFAULT_CSS = """
    HelpScreen > Vertical { width: 80; height: 90%; padding: 0; }
    HelpScreen _Text { padding: 0 1; scrollbar-size-vertical: 1; }
    HelpScreen Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("help")

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__("Commands and keys")
        self._keys = keys

    def content(self) -> ComposeResult:
        with _Text():
            yield Static(Content.assemble(*_lines(self._keys)), markup=False)

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss()


def _lines(keys: Mapping[str, str]) -> Iterator[str | tuple[str, str]]:
    for number, (group, commands) in enumerate(grouped()):
        yield ("\n" if number else "") + f"{group}\n", "bold $primary"
        for command in commands:
            spelled = "  ".join(keys_of(command, keys))
            yield f"  {spelled}{'':{max(1, _KEYS - cell_len(spelled))}}", "bold"
            yield f"{command.title:<{_TITLE}}"
            yield f"{command.help}\n", "$secondary"


_LEFT_OUT = ("move", "help", "breakpoints", "edit")
"""Areas whose commands the palette omits."""


class PanelCommands(Provider):
    """Offers the commands of the focused widget, and of everything around it."""

    async def discover(self) -> Hits:
        for command, said, run in self._offered():
            yield DiscoveryHit(_title(command), run, help=said)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, said, run in self._offered():
            title = _title(command)
            score = matcher.match(title) or float(query.lower() in f"{command.id} {command.help}")
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=said)

    def _offered(self) -> Iterator[tuple[Command, str, partial[Coroutine[Any, Any, bool]]]]:
        seen = {"panel.palette", "panel.interrupt"}
        for node, binding, is_enabled, _ in self.screen.active_bindings.values():
            command = BY_ID.get(binding.id or "")
            if command is None or command.area in _LEFT_OUT or command.id in seen or not is_enabled:
                continue
            seen.add(command.id)
            said = f"{self.app.get_key_display(binding)}  {command.help}"
            yield command, said, partial(self.app.run_action, binding.action, node)


def _title(command: Command) -> str:
    return f"{command.group}: {command.title}"
