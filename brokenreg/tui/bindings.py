"""Textual's bindings from the table of commands, other keys for them, and the line that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.keys import Keys
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from brokenreg.tui.commands import BY_ID, COMMANDS, Command, keys_of, meet
from brokenreg.wording import nearest

_NAMED = re.compile(r"\{([a-z]+\.[a-z-]+)\}")
_MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "hyper+", "meta+")


class KeysError(ValueError):
    """Keys that cannot be; the message is one line."""


def bindings_of(*areas: str) -> list[BindingType]:
    """What a screen or widget binds: the commands of some areas, in the order of these in the footer."""
    return [_binding(command) for area in areas for command in COMMANDS if command.area == area]


def commands_on(key: str, keys: Mapping[str, str]) -> Iterator[Command]:
    """The commands that a key (by Textual's name) is for, in all areas; `keys` are other keys by id."""
    for command in COMMANDS:
        if key in map(key_name, keys_of(command, keys)):
            yield command


def keyed(text: str, keys: Mapping[str, str]) -> str:
    """Return `text` with the first key of each command that it names in braces (`{traffic.mark}`)."""

    def key(named: re.Match[str]) -> str:
        command = BY_ID.get(named[1])
        return named[0] if command is None else keys_of(command, keys)[0]

    return _NAMED.sub(key, text)


@runtime_checkable
class HasKeys(Protocol):
    """The panel, as far as hints need it: other keys by command id."""

    keys: Mapping[str, str]


def keyed_for(node: DOMNode, text: str) -> str:
    """Return `text` as `keyed` makes it, with the keys of the panel that `node` belongs to."""
    return keyed(text, node.app.keys if isinstance(node.app, HasKeys) else {})


def keys_from(table: Mapping[str, Any]) -> dict[str, str]:
    """Other keys by command id, from the `[keys]` table of a configuration file. Raise `KeysError`."""
    keys = dict(_read(table, ""))
    for one, other in combinations(COMMANDS, 2):
        if (one.id in keys or other.id in keys) and meet(one, other):
            twice = {*map(key_name, keys_of(one, keys))} & {*map(key_name, keys_of(other, keys))}
            if twice:
                raise KeysError(f"{min(twice)} is both {one.id} and {other.id}; give one of them another key")
    return keys


def _read(table: Mapping[str, Any], within: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        command = within + name
        if isinstance(value, dict) and not within:  # `traffic.follow = "L"` without quotes
            yield from _read(value, f"{name}.")
            continue
        if command not in BY_ID:
            raise KeysError(f"there is no command {command[:100]!r}; {nearest(command, BY_ID)}")
        keys = value if isinstance(value, list) else [value]
        if not keys or not all(isinstance(key, str) for key in keys):
            raise KeysError(f'{command}: write a key in quotes, or a list: ["f", "ctrl+f"]')
        for key in keys:
            if key_name(key) not in _KNOWN and not _is_modified(key):
                raise KeysError(
                    f"{command}: {key[:100]!r} is no key; write for instance f, F, f2, ctrl+f, pagedown or ?"
                )
        yield command, ",".join(key_name(key) for key in keys)


def _is_modified(key: str) -> bool:
    bare = key
    while bare.startswith(_MODIFIERS):
        bare = bare.partition("+")[2]
    return bare != key and key_name(bare) in _KNOWN


def key_name(key: str) -> str:
    """As Textual calls it: `question_mark` for `?`."""
    if len(key) != 1 or key.isspace() or key == ",":
        return {",": "comma", " ": "space"}.get(key, key)
    return next(iter(Binding.make_bindings([(key, "", "")]))).key


_KNOWN = {*map(key_name, map(chr, range(0x20, 0x7F))), *(key.value for key in Keys if key.value[0] != "<")}


def _binding(command: Command) -> Binding:
    first = command.keys.partition(",")[0]
    return Binding(
        command.keys,
        command.action,
        command.title,
        show=command.footer,
        key_display={"escape": "esc", "ctrl+p": "^p"}.get(first, first),
        priority=command.priority,
        tooltip=command.help,
        id=command.id,
    )


_HELP = "help"
_AROUND = 3
"""Cells that a key has beside its name and what it does."""


class KeyLine(Footer):
    """As many keys as there is room for, none of them cut. That of the help is always there."""

    _room = 0

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)

    def compose(self) -> ComposeResult:
        keys = [each for each in super().compose() if isinstance(each, FooterKey)]
        while keys and sum(map(_width, keys)) > self.app.size.width:
            others = [key for key in keys if key.action != _HELP]
            keys.remove((others or keys)[-1])
        yield from keys

    async def on_resize(self, event: events.Resize) -> None:
        """Another width has room for others."""
        if event.size.width != self._room:
            self._room = event.size.width
            await self.recompose()


def _width(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + _AROUND
