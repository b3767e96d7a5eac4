"""Finds the rules that may match an exchange."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.traffic.exchange import Exchange

_MAX_KEYS = 4096
_MAX_KEY = 1024
"""Maximum length of a key, in characters. Clients choose the texts, and thousands of keys are kept."""

_Candidates: TypeAlias = list[tuple[ActiveRule, str]]


class RuleIndex:
    """The enabled rules of a book, in the order in which they are evaluated.

    Exchanges that are equal in everything that rules match have the same candidates, which are looked up only
    once. So a hundred rules cost a request only some microseconds.
    """

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._rules = [(active, str(place)) for place, active in enumerate(rules, start=1)]
        by_name = {active.rule.name: active for active, _ in reversed(self._rules)}
        for active, _ in self._rules:
            active.is_awaited = False
        for active, _ in self._rules:
            active.awaited = by_name.get(active.rule.after) if active.rule.after is not None else None
            if active.awaited is not None:
                active.awaited.is_awaited = True
        facets = {
            name: facet for active, _ in self._rules for name, facet in active.rule.match.facets().items()
        }
        self._facets = tuple(facets.values())
        self._candidates: dict[Hashable, _Candidates] = {}

    def of(self, exchange: Exchange) -> _Candidates:
        """Return the rules for which `may_match` is true, each with its position for the draw."""
        facets = [facet(exchange) for facet in self._facets]
        key = (exchange.target.endpoint, exchange.method, *facets)
        found = self._candidates.get(key)
        if found is None:
            found = [(active, place) for active, place in self._rules if active.may_match(exchange)]
            if len(exchange.method) + sum(map(len, facets)) <= _MAX_KEY:
                if len(self._candidates) >= _MAX_KEYS:
                    self._candidates.clear()
                self._candidates[key] = found
        return found
