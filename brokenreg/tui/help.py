"""The help: the commands of the current view first, and a search by name, key or meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input, Static

from brokenreg.tui.areas import area
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.commands import COMMANDS, Command, grouped, keys_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.keys import key_name
from brokenreg.tui.scrolling import MOVES, Scrolling

_KEYS = 17
_TITLE = 19

_Groups = Sequence[tuple[str, Sequence[Command]]]


def areas_around(node: DOMNode) -> list[str]:
    """Return the areas whose commands are bound by a node or around it, the innermost first.

    What scrolls and the tabs come last, because they are the same everywhere.
    """
    bound = [
        each.id.partition(".")[0]
        for parent in node.ancestors_with_self
        for each in parent.BINDINGS
        if isinstance(each, Binding) and each.id
    ]
    return sorted(dict.fromkeys(bound), key=lambda name: area(name).group in ("Navigation", "Tabs"))


def here_first(areas: Sequence[str]) -> tuple[_Groups, _Groups]:
    """Return the groups of commands in these areas, in their order, and all other groups."""
    here: dict[str, list[Command]] = {}
    for name in areas:
        for command in COMMANDS:
            if command.area == name:
                here.setdefault(command.group, []).append(command)
    others = [(group, [each for each in commands if each.area not in areas]) for group, commands in grouped()]
    return [*here.items()], [(group, commands) for group, commands in others if commands]


def matching(text: str, keys: Mapping[str, str]) -> list[Command]:
    """Return the commands that a search finds: those of a key (`ctrl+z`, `^z`), then those with all words."""
    key, words = _searched_key(text.strip()), text.lower().split()
    by_key = [each for each in COMMANDS if key in map(key_name, keys_of(each, keys))]
    by_words = [
        each
        for each in COMMANDS
        if all(word in f"{each.id} {each.group} {each.title} {each.help}".lower() for word in words)
    ]
    return list(dict.fromkeys([*by_key, *by_words]))


def _searched_key(text: str) -> str:
    """Return the name of the key that a text may mean: `ctrl+z` for `^z` and `Ctrl+Z`."""
    if len(text) < 2:
        return key_name(text)
    spelled = f"ctrl+{text[1:]}" if text.startswith("^") else text
    return {"esc": "escape", "return": "enter"}.get(spelled.lower(), spelled.lower())


class _Text(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """The text of the help, which scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class HelpScreen(Dialogue[None], inherit_bindings=False):
    """Shows all commands with their keys over the panel: first those of `areas`, the current view."""

    DEFAULT_CSS = """
    HelpScreen > Vertical { width: 80; height: 90%; padding: 0; }
    HelpScreen _Text { padding: 0 1; scrollbar-size-vertical: 1; }
    HelpScreen Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    HelpScreen Input { display: none; padding: 0 1; }
    HelpScreen.-searching Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("help")

    def __init__(self, keys: Mapping[str, str], areas: Sequence[str]) -> None:
        super().__init__("Commands and keys")
        self._keys = keys
        self._areas = areas

    def content(self) -> ComposeResult:
        yield Input(placeholder="A word, or a key: ctrl+z, ^z, ?", compact=True, max_length=100)
        with _Text():
            yield Static(id="commands", markup=False)

    def on_mount(self) -> None:
        self._show("")
        self.query_one(_Text).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what the search finds."""
        self._show(event.value)

    def on_input_submitted(self) -> None:
        """Scroll what was found."""
        self.query_one(_Text).focus()

    def action_search(self) -> None:
        """Type what to search for."""
        self.add_class("-searching")
        self.query_one(Input).focus()

    def action_close(self) -> None:
        """Show all commands again, or close the help."""
        if not self.has_class("-searching"):
            self.dismiss()
            return
        self.remove_class("-searching")
        self.query_one(Input).value = ""
        self.query_one(_Text).focus()

    def _show(self, text: str) -> None:
        if text.strip():
            found = matching(text, self._keys)
            parts = [*self._lines([("Found", found)])] if found else ["No matching commands."]
        else:
            here, others = here_first(self._areas)
            parts = [("In this view\n\n", "bold $accent"), *self._lines(here)]
            parts += [("\nElsewhere\n\n", "bold $accent"), *self._lines(others)]
        self.query_one("#commands", Static).update(Content.assemble(*parts))
        self.query_one(_Text).scroll_home(animate=False)

    def _lines(self, groups: Collection[tuple[str, Sequence[Command]]]) -> Iterator[str | tuple[str, str]]:
        for number, (group, commands) in enumerate(groups):
            yield ("\n" if number else "") + f"{group}\n", "bold $primary"
            for command in commands:
                spelled = "  ".join(keys_of(command, self._keys))
                yield f"  {spelled}{'':{max(1, _KEYS - cell_len(spelled))}}", "bold $accent"
                yield f"{command.title:<{_TITLE}}"
                yield f"{command.help}\n", "$secondary"
