"""Aligns two sequences: which element of one is which of the other, and where their order differs."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aligned:
    """The places of an element in both sequences, from 0. None means that a sequence does not have it.

    `is_moved` is true if both have it, but in another order among the others.
    """

    left: int | None
    right: int | None
    is_moved: bool = False


def align(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[Aligned]:
    """Return the elements of both sequences, each of which has no element twice, in O(n log n).

    The result has the order of `left`, and the order of `right` for all elements that have not moved. As few
    elements as possible have moved. Elements of `right` alone come after the one before them.
    """
    places = {key: place for place, key in enumerate(right)}
    common = [(place, places[key]) for place, key in enumerate(left) if key in places]
    steady = {common[index] for index in longest_increasing([each[1] for each in common])}
    anchors = {there: here for here, there in steady}
    known = set(left)
    inserted: dict[int, list[Aligned]] = {}
    anchor = -1
    for place, key in enumerate(right):
        if place in anchors:
            anchor = anchors[place]
        elif key not in known:
            inserted.setdefault(anchor, []).append(Aligned(None, place))
    found = inserted.get(-1, [])
    for here, key in enumerate(left):
        there = places.get(key)
        found.append(Aligned(here, there, is_moved=there is not None and (here, there) not in steady))
        found += inserted.get(here, [])
    return found


def longest_increasing(numbers: Sequence[int]) -> list[int]:
    """Return the places of a longest increasing subsequence (by patience sorting)."""
    tails: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        length = bisect_left(tails, number)
        before.append(places[length - 1] if length else -1)
        tails[length : length + 1] = [number]
        places[length : length + 1] = [place]
    found = []
    place = places[-1] if places else -1
    while place >= 0:
        found.append(place)
        place = before[place]
    return found[::-1]


def numbered(keys: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Yield each key with how often it has occurred, so that no element occurs twice."""
    counts: Counter[Hashable] = Counter()
    for key in keys:
        counts[key] += 1
        yield key, counts[key]
