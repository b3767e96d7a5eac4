"""The command palette: every command, also those of other tabs, and why one would do nothing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from brokenreg.tui.areas import TABS, area
from brokenreg.tui.commands import COMMANDS, Command, keys_of
from brokenreg.tui.dialogues import say
from brokenreg.tui.disabled_reasons import HasDisabledReasons, IsPanel, keyed_for
from brokenreg.tui.help import areas_around
from brokenreg.tui.tabs import TabArea


@dataclass(frozen=True, slots=True)
class Offer:
    """A command, the node that has it, and why it would do nothing now, or an empty string."""

    command: Command
    node: DOMNode | None
    tab: str
    """The tab to show first; empty if it is the current one."""
    reason: str

    @property
    def rank(self) -> int:
        """Return 0 for what works here, 1 for what works in another tab, 2 for the rest."""
        return 2 if self.reason else 1 if self.tab else 0


_BEGINNING, _EXACT = 100.0, 1_000.0
"""More than the score of any other match, also after the division by rank."""


class PanelCommands(Provider):
    """Offers every command: first those that work in the current view, last those that would do nothing."""

    _found: Sequence[Offer] | None = None

    async def discover(self) -> Hits:
        for offer in self._offers():
            yield DiscoveryHit(
                _title(offer.command), lambda offer=offer: self._run(offer), help=self._said(offer)
            )

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for offer in self._offers():
            command, title = offer.command, _title(offer.command)
            found = float(query.lower() in f"{command.id} {command.help}".lower())
            score = matcher.match(title) or found
            if score > 0:
                shown = matcher.highlight(title)
                score = (score + _named(command, query)) / (1 + offer.rank)
                yield Hit(score, shown, lambda offer=offer: self._run(offer), help=self._said(offer))

    def _offers(self) -> Sequence[Offer]:
        """Return every command, in order. They are looked up once for a palette."""
        if self._found is None:
            areas = areas_around(self.focused or self.screen)
            places = {name: place for place, name in enumerate(areas)}
            nodes = self._nodes()
            offers = [
                self._offer(each, nodes.get(each.id)) for each in COMMANDS if each.id != "panel.palette"
            ]
            offers.sort(key=lambda each: (each.rank, places.get(each.command.area, len(areas))))
            self._found = offers
        return self._found

    def _nodes(self) -> Mapping[str, DOMNode]:
        """Return the node that has each command: around the focus, else anywhere in the panel."""
        around = (self.focused or self.screen).ancestors_with_self
        found: dict[str, DOMNode] = {}
        for node in (*around, *self.screen.walk_children()):
            for each in _bindings(node):
                found.setdefault(each.id or "", node)
        is_filtering = any(each.id == "filter.apply" for node in around for each in _bindings(node))
        return (
            found if is_filtering else {name: found[name] for name in found if not name.startswith("filter.")}
        )

    def _offer(self, command: Command, node: DOMNode | None) -> Offer:
        if node is None:
            return Offer(command, None, "", f"only in {_place(command)}")
        inside = next((each.id or "" for each in node.ancestors_with_self if isinstance(each, TabArea)), "")
        tab = "" if self._is_here(inside) else inside
        reason = node.unavailable_reason(command.action_name) if isinstance(node, HasDisabledReasons) else ""
        return Offer(command, node, tab, keyed_for(node, reason))

    def _is_here(self, tab: str) -> bool:
        return not tab or self.screen.query_one(f"#{tab}").display

    def _said(self, offer: Offer) -> str:
        keys = self.app.keys if isinstance(self.app, IsPanel) else {}
        key = keys_of(offer.command, keys)[0]
        if offer.reason:
            return f"{key}  does nothing now: {offer.reason}"
        where = f"  (in {TABS[offer.tab].title})" if offer.tab else ""
        return f"{key}  {offer.command.help}{where}"

    async def _run(self, offer: Offer) -> None:
        """Run a command, in its tab, or show why it would do nothing."""
        if offer.tab:
            await self.app.run_action(f"show_tab('{offer.tab}')")
        if offer.reason or offer.node is None:
            say(self.screen, offer.reason)
        else:
            await self.app.run_action(offer.command.action, offer.node)


def _bindings(node: DOMNode) -> list[Binding]:
    return [each for each in node.BINDINGS if isinstance(each, Binding)]


def _place(command: Command) -> str:
    """Return where a command is available that no part of the tabs has."""
    return "the filter line" if command.area == "filter" else f'the dialogue "{area(command.area).group}"'


def _named(command: Command, query: str) -> float:
    """Return what a command gains if the query is its title, or the beginning of it."""
    title, wanted = command.title.lower(), query.strip().lower()
    return _EXACT if title == wanted else _BEGINNING if wanted and title.startswith(wanted) else 0.0


def _title(command: Command) -> str:
    return f"{command.group}: {command.title}"
