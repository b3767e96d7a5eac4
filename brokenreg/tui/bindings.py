"""Textual's bindings from the table of commands, and the line at the bottom that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from brokenreg.tui.commands import BY_ID, COMMANDS, FOOTER_FIRST, Command
from brokenreg.tui.footer_titles import footer_titles


def bindings_of(*areas: str) -> list[BindingType]:
    """Return the bindings of a screen or widget: the commands of these areas, in this order in the footer."""
    return [_binding(command) for area in areas for command in COMMANDS if command.area == area]


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
    """Shows as many keys as fit, without cutting one. The key of the help is always shown."""

    _room = 0

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)

    async def recompose(self) -> None:
        """Replace the keys, if others are to be shown: mounting a dozen widgets takes 10 ms."""
        if not self.is_attached:  # its screen was closed meanwhile
            return
        shown = [_look(key) for key in self.compose() if isinstance(key, FooterKey)]
        if shown != [_look(key) for key in self.query(FooterKey)]:
            await super().recompose()

    def compose(self) -> ComposeResult:
        keys = [*self._keys()] if self._bindings_ready else []
        while keys and sum(map(_width, keys)) > self.app.size.width:
            others = [key for key in keys if key.action != _HELP]
            keys.remove((others or keys)[-1])
        yield from keys

    def _keys(self) -> Iterator[FooterKey]:
        """Yield the available commands of the footer, the most important first."""
        titles = footer_titles(self.screen.focused or self.screen)
        bindings: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():  # of several keys, the first is shown
            bindings.setdefault(active.binding.id or "", active)
        for name in sorted(bindings, key=partial(_rank, titles)):
            _, binding, enabled, tooltip = bindings[name]
            if binding.show or name in titles:
                title = titles.get(name) or binding.description
                display = self.app.get_key_display(binding)
                key = FooterKey(binding.key, display, title, binding.action, not enabled, tooltip)
                yield key.data_bind(compact=Footer.compact)

    async def on_resize(self, event: events.Resize) -> None:
        """Show the keys that fit the new width."""
        if event.size.width != self._room:
            self._room = event.size.width
            await self.recompose()


def _rank(titles: Mapping[str, str], name: str) -> tuple[int, bool]:
    """Return the place of a command among those that come first; those for the current row come next."""
    first = FOOTER_FIRST.index(name) if name in FOOTER_FIRST else len(FOOTER_FIRST)
    return first, name not in titles or BY_ID[name].footer


def _look(key: FooterKey) -> tuple[str, str, str]:
    return key.key_display, key.description, key.action


def _width(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + _AROUND
