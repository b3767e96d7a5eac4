"""The command palette: every command that would do something now, found by its name."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from brokenreg.tui.commands import BY_ID, Command

_LEFT_OUT = ("move", "help", "breakpoints", "edit")
"""Areas whose commands nobody would look for by name."""


class PanelCommands(Provider):
    """The commands of what has the focus, outwards to the panel."""

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
