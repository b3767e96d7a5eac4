"""Sequences are aligned: no element is lost, and as few as possible have moved."""

from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.comparing.alignment import Aligned, align, longest_increasing, numbered

SEQUENCES = st.lists(st.sampled_from("abcdefghij"), unique=True)


@given(SEQUENCES)
def test_a_sequence_is_aligned_with_itself(keys: list[str]) -> None:
    assert align(keys, keys) == [Aligned(place, place) for place in range(len(keys))]


@given(SEQUENCES, SEQUENCES)
def test_each_element_has_one_place(left: list[str], right: list[str]) -> None:
    found = align(left, right)
    assert [each.left for each in found if each.left is not None] == [*range(len(left))]
    assert sorted(each.right for each in found if each.right is not None) == [*range(len(right))]
    for each in found:
        if each.left is not None and each.right is not None:
            assert left[each.left] == right[each.right]
        elif each.left is not None:
            assert left[each.left] not in right
        elif each.right is not None:
            assert right[each.right] not in left


@given(SEQUENCES, SEQUENCES)
def test_what_has_not_moved_keeps_the_order_of_both_sides(left: list[str], right: list[str]) -> None:
    steady = [each for each in align(left, right) if not each.is_moved]
    places = [each.right for each in steady if each.right is not None]
    assert places == sorted(places)


@given(st.permutations("abcdefg"))
def test_as_few_as_possible_have_moved(right: list[str]) -> None:
    left = sorted(right)
    moved = sum(each.is_moved for each in align(left, right))
    fewest = next(
        out
        for out in range(len(left))
        if any(
            [*kept] == [each for each in right if each in kept]
            for kept in itertools.combinations(left, len(left) - out)
        )
    )
    assert moved == fewest


def test_longest_increasing() -> None:
    assert longest_increasing([]) == []
    assert [[3, 1, 2, 5, 4][place] for place in longest_increasing([3, 1, 2, 5, 4])] == [1, 2, 4]


def test_equal_keys_are_numbered() -> None:
    assert [*numbered("aba")] == [("a", 1), ("b", 1), ("a", 2)]


def test_thousands_in_the_opposite_order_take_milliseconds() -> None:
    keys = [*range(5_000)]
    started = time.process_time()
    found = align(keys, keys[::-1])
    assert time.process_time() - started < 0.5
    assert sum(each.is_moved for each in found) == 4_999
