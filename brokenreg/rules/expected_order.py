"""Whether matches of several filters start one after the other, in whatever order the exchanges end."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable

from brokenreg.rules.expectations import Match
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import parse_filter

MAX_MATCHES = 1000
"""Maximum number of matches of one filter that are kept: the first and the last ones."""


class OrderedMatches:
    """The matches of each filter, sorted by their start."""

    def __init__(self, filters: Iterable[str]) -> None:
        self._filters = [parse_filter(each) for each in filters]
        self._matches: list[list[Match]] = [[] for _ in self._filters]

    def add(self, exchange: Exchange) -> None:
        """Note which filters an exchange matches."""
        for place, matches in enumerate(self._filters):
            if matches(exchange):
                self.add_match(place, (exchange.started, exchange.id))

    def add_match(self, place: int, match: Match) -> None:
        """Note a match of the filter at that place."""
        found = self._matches[place]
        insort(found, match)
        if len(found) > MAX_MATCHES:
            del found[MAX_MATCHES // 2]

    def matches(self) -> list[list[Match]]:
        """Return the matches of each filter, sorted by their start."""
        return [list(found) for found in self._matches]

    def longest(self) -> list[int]:
        """Return the ids of matches of as many filters as possible, from the first, each after the last."""
        done: list[Match] = []
        for found in self._matches:
            place = bisect_right(found, done[-1]) if done else 0
            if place == len(found):
                break
            done.append(found[place])
        return [number for _, number in done]
