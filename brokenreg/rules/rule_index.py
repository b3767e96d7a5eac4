"""Which rules may strike an exchange, without asking every rule every time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.traffic.exchange import Exchange

_KNOWN = 4096
_LONGEST_KEY = 1024
"""Characters; the words are the clients', and thousands of keys are kept."""


class RuleIndex:
    """The enabled rules of a book, in the order in which they are asked.

    Exchanges that are alike in all that any rule asks for have the same candidates; those are found once.
    """

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._rules = [(active, str(place)) for place, active in enumerate(rules, start=1)]
        facets = {
            name: facet for active, _ in self._rules for name, facet in active.rule.match.facets().items()
        }
        self._facets = tuple(facets.values())
        self._known: dict[Hashable, list[tuple[ActiveRule, str]]] = {}

    def of(self, exchange: Exchange) -> list[tuple[ActiveRule, str]]:
        """The rules that match, but for what a layer's place decides; each with its place in the draws."""
        facets = [facet(exchange) for facet in self._facets]
        key = (exchange.target.endpoint, exchange.method, *facets)
        found = self._known.get(key)
        if found is None:
            found = [(active, place) for active, place in self._rules if active.may_apply(exchange)]
            if len(exchange.method) + sum(map(len, facets)) <= _LONGEST_KEY:
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[key] = found
        return found
