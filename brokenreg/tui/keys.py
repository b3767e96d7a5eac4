"""The keys of commands as users choose them in the `[keys]` table of the configuration file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from textual.binding import Binding
from textual.keys import Keys

from brokenreg.tui.commands import BY_ID, COMMANDS, Command, keys_of, meet
from brokenreg.wording import nearest

_MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "hyper+", "meta+")


class KeysError(ValueError):
    """The keys of the user are invalid; the message is one line."""


def commands_on(key: str, keys: Mapping[str, str]) -> Iterator[Command]:
    """Return the commands of a key (by Textual's name) in all areas; `keys` has changed keys, by id."""
    for command in COMMANDS:
        if key in map(key_name, keys_of(command, keys)):
            yield command


def keys_from(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys by command id in the `[keys]` table of a configuration file. Raise `KeysError`."""
    keys = dict(_read(table, ""))
    for one, other in combinations(COMMANDS, 2):
        if (one.id in keys or other.id in keys) and meet(one, other):
            twice = {*map(key_name, keys_of(one, keys))} & {*map(key_name, keys_of(other, keys))}
            if twice:
                raise KeysError(
                    f'key "{min(twice)}" is used by both {one.id} and {other.id}: change one of them'
                )
    return keys


def _read(table: Mapping[str, Any], within: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        command = within + name
        if isinstance(value, dict) and not within:  # `traffic.follow = "L"` without quotes
            yield from _read(value, f"{name}.")
            continue
        if command not in BY_ID:
            raise KeysError(f'unknown command "{command[:100]}": {nearest(command, BY_ID)}')
        keys = value if isinstance(value, list) else [value]
        if not keys or not all(isinstance(key, str) for key in keys):
            raise KeysError(f'{command}: write a key in quotes, or a list: ["f", "ctrl+f"]')
        for key in keys:
            if key_name(key) not in _KNOWN and not _is_modified(key):
                raise KeysError(
                    f'{command}: unknown key "{key[:100]}": use, for example, f, F, f2, ctrl+f, pagedown or ?'
                )
        yield command, ",".join(key_name(key) for key in keys)


def _is_modified(key: str) -> bool:
    bare = key
    while bare.startswith(_MODIFIERS):
        bare = bare.partition("+")[2]
    return bare != key and key_name(bare) in _KNOWN


def key_name(key: str) -> str:
    """Return Textual's name of a key: `question_mark` for `?`."""
    if len(key) != 1 or key.isspace() or key == ",":
        return {",": "comma", " ": "space"}.get(key, key)
    return next(iter(Binding.make_bindings([(key, "", "")]))).key


_KNOWN = {*map(key_name, map(chr, range(0x20, 0x7F))), *(key.value for key in Keys if key.value[0] != "<")}
