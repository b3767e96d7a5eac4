"""Whether matches of several filters start one after the other, in whatever order the exchanges end."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import parse_filter

MAX_MATCHES = 1000
"""Maximum number of matches of one filter that are kept: the first and the last ones."""

_Match = tuple[float, int]
"""When an exchange started, and its id."""


class OrderedMatches:
    """The matches of each filter, sorted by their start."""

    def __init__(self, filters: Iterable[str]) -> None:
        self._filters = [parse_filter(each) for each in filters]
        self._matches: list[list[_Match]] = [[] for _ in self._filters]

    def add(self, exchange: Exchange) -> None:
        """Note which filters an exchange matches."""
        for matches, found in zip(self._filters, self._matches, strict=True):
            if matches(exchange):
                insort(found, (exchange.started, exchange.id))
                if len(found) > MAX_MATCHES:
                    del found[MAX_MATCHES // 2]

    def longest(self) -> list[int]:
        """Return the ids of matches of as many filters as possible, from the first, each after the last."""
        done: list[_Match] = []
        for found in self._matches:
            place = bisect_right(found, done[-1]) if done else 0
            if place == len(found):
                break
            done.append(found[place])
        return [number for _, number in done]
