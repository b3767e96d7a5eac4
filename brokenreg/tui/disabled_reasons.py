"""Why a key does nothing now: footer, palette and the key itself say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from brokenreg.tui.bindings import commands_on, keyed


class HasDisabledReasons(DOMNode):
    """A node with commands that can say why one of them would do nothing now.

    Put it last among the bases: Textual takes styles from the first.
    """

    def disabled_reason(self, action: str) -> str:
        """Return in one line why `action` is not available now, or an empty string.

        A command's id in braces (`{traffic.mark}`) stands for its key.
        """
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.disabled_reason(action) and super().check_action(action, parameters)


def disabled_reasons(node: DOMNode, key: str, keys: Mapping[str, str]) -> Iterator[str]:
    """Yield why `node`, and then those around it, do nothing on a key (by Textual's name).

    `keys` are other keys by command id. Commands of the panel are not in force over a dialogue.
    """
    commands = list(commands_on(key, keys))
    for each in node.ancestors_with_self:
        if isinstance(each, HasDisabledReasons):
            bound = {binding.id for binding in each.BINDINGS if isinstance(binding, Binding)}
            for command in commands:
                if command.id in bound and (why := each.disabled_reason(command.action_name)):
                    yield keyed(why, keys)
        if isinstance(each, Screen) and each.is_modal:
            return
