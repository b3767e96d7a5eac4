"""Timelines are bounded in number and length, and say how many points they have left out."""

from __future__ import annotations

import pytest

from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules.rule import Rule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.timeline import CHARACTERS, LONGEST, MOST


def exchange() -> Exchange:
    target = Target(Endpoint.MANIFEST, repository="app", reference="v1")
    return Exchange(1, "GET", "", "", "2", "http", "c:1", target)


def points(opened: Exchange) -> list[str]:
    return [what for what, _ in opened.timeline]


def test_few_points_are_all_kept() -> None:
    opened = exchange()
    for number in range(MOST):
        opened.mark(f"point {number}")
    assert points(opened) == [f"point {number}" for number in range(MOST)]
    assert opened.left_out == 0


def test_of_many_points_the_first_and_the_last_are_kept_and_the_rest_is_counted() -> None:
    opened = exchange()
    opened.mark("request")
    for number in range(1000):
        opened.mark(f"point {number}")
        if number == 100:
            opened.mark("headers")
    opened.mark("end")
    kept = points(opened)
    assert len(kept) == MOST
    assert kept[:3] == ["request", "point 0", "point 1"]
    assert kept[-2:] == ["point 999", "end"]
    assert "headers" in kept
    assert [what for what in kept if "left out" in what] == [f"{opened.left_out} points left out here"]
    assert opened.left_out == 1003 - (MOST - 1)
    assert [when for _, when in opened.timeline] == sorted(when for _, when in opened.timeline)
    opened.ended = Ended.COMPLETE
    assert opened.duration == opened.timeline[-1][1]


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 10 * CHARACTERS])
def test_long_points_are_cut_and_together_have_a_limit(length: int) -> None:
    opened = exchange()
    for number in range(100):
        opened.mark(f"{number:04}" + "x" * (length - 4))
    assert all(len(what) <= LONGEST for what in points(opened))
    assert sum(map(len, points(opened))) <= CHARACTERS
    assert points(opened)[-1].startswith("0099")
    assert opened.left_out > 0


def test_a_thousand_rules_that_are_passed_over_leave_few_points() -> None:
    books = RuleBooks(0, lambda _: ())
    rule = Rule.model_validate({"fault": {"type": "h2-reset"}, "match": {"endpoint": "manifest"}})
    for _ in range(1000):
        books.book("").add(rule, "test")
    opened = exchange()
    opened.http_version = "1.1"
    assert books.evaluate(opened, ()) == []
    assert len(opened.timeline) <= MOST
    assert opened.left_out == 1000 - (MOST - 1)
