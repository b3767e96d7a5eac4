"""Explains why a key does nothing now, and inserts the current keys into hints.

Footer, palette and the key itself agree, because all of them use `disabled_reason`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from brokenreg.tui.commands import BY_ID, Command, keys_of
from brokenreg.tui.keys import commands_on

READ_ONLY = "this panel is read-only"
"""Why a command that changes something is not available to a user with read access."""

_NAMED = re.compile(r"\{([a-z]+\.[a-z-]+)\}")


class HasDisabledReasons(DOMNode):
    """A node with commands that can say why one of them would do nothing now.

    Put it last among the bases: Textual takes styles from the first.
    """

    def disabled_reason(self, action: str) -> str:
        """Return in one line why `action` is not available now, or an empty string.

        A command's id in braces (`{traffic.mark}`) is replaced by its key.
        """
        return ""

    def unavailable_reason(self, action: str) -> str:
        """Return why `action` is not available: its `disabled_reason`, or that the panel is read-only."""
        if not may_change(self) and any(
            command.changes and command.action_name == action for command in _commands_of(self)
        ):
            return READ_ONLY
        return self.disabled_reason(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.unavailable_reason(action) and super().check_action(action, parameters)


def _commands_of(node: DOMNode) -> Iterator[Command]:
    """Yield the commands that the class of a node binds."""
    for binding in node.BINDINGS:
        command = BY_ID.get(binding.id or "") if isinstance(binding, Binding) else None
        if command is not None:
            yield command


def disabled_reasons(node: DOMNode, key: str, keys: Mapping[str, str]) -> Iterator[str]:
    """Yield why `node`, and then those around it, do nothing on a key (by Textual's name).

    `keys` are other keys by command id. Commands of the panel are not available in a dialogue.
    """
    commands = list(commands_on(key, keys))
    for each in node.ancestors_with_self:
        if isinstance(each, HasDisabledReasons):
            bound = list(_commands_of(each))
            for command in commands:
                if command in bound and (why := each.unavailable_reason(command.action_name)):
                    yield keyed(why, keys)
        if isinstance(each, Screen) and each.is_modal:
            return


def keyed(text: str, keys: Mapping[str, str]) -> str:
    """Return `text` with the first key of each command that it names in braces (`{traffic.mark}`)."""

    def key(named: re.Match[str]) -> str:
        command = BY_ID.get(named[1])
        return named[0] if command is None else keys_of(command, keys)[0]

    return _NAMED.sub(key, text)


@runtime_checkable
class IsPanel(Protocol):
    """The panel, as far as reasons and hints need it: `keys` are other keys by command id."""

    keys: Mapping[str, str]

    @property
    def may_change(self) -> bool: ...


@runtime_checkable
class HasAccess(Protocol):
    """A part of the screen, or the panel, that says whether commands in it may change anything."""

    @property
    def may_change(self) -> bool: ...


def may_change(node: DOMNode) -> bool:
    """Return whether commands in `node` may change anything."""
    return next((each.may_change for each in node.ancestors_with_self if isinstance(each, HasAccess)), True)


def keyed_for(node: DOMNode, text: str) -> str:
    """Return `text` as `keyed` makes it, with the keys of the panel that `node` belongs to."""
    return keyed(text, node.app.keys if isinstance(node.app, IsPanel) else {})
