"""Each kind of expectation, met and not met."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.rules.expected_order import MAX_MATCHES, OrderedMatches
from brokenreg.rules.rule import FieldError
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.rule_ids import RuleIds
from brokenreg.rules.scenario import SourcedScenario, scenario_of, written
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from tests.traffic.test_comparisons import finished, logged

MANIFEST = "endpoint:manifest"


def book_of(document: dict[str, Any]) -> RuleBook:
    scenario = scenario_of(document)
    book = RuleBook("", 1, lambda target: (), RuleIds())
    book.load(SourcedScenario(scenario, ("s:1",) * len(scenario.rules)))
    return book


def verdict(expectation: dict[str, Any], *exchanges: Exchange) -> tuple[bool, str, list[int]]:
    book = book_of({"expect": [expectation]})
    for each in logged(*exchanges, log=TrafficLog()):
        book.expectations.observe(each)
    (found,) = book.verdicts()
    return found.met, found.got, found.nearest


def pull(*statuses: int, apart: float = 3, **more: Any) -> list[Exchange]:
    return [finished(place * apart, 0.5, status, **more) for place, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("expectation", "good", "bad", "nearest"),
    [
        ({"filter": "status:200", "count": 1}, [503, 200], [503, 503], []),
        ({"filter": MANIFEST, "at_most": 1}, [200], [503, 200], [1, 2]),
        ({"filter": f"{MANIFEST} attempt:>1"}, [503, 200], [200], [1]),
        ({"filter": MANIFEST, "each": "status:200"}, [200, 200], [200, 503], [2]),
        ({"order": ["status:503", "status:200"]}, [503, 200], [200, 503], [2]),
        ({"connections": {"at_most": 1}}, [200, 200], [], []),
    ],
)
def test_kinds(expectation: dict[str, Any], good: list[int], bad: list[int], nearest: list[int]) -> None:
    assert verdict(expectation, *pull(*good))[0]
    if bad:
        met, _, found = verdict(expectation, *pull(*bad))
        assert (met, found) == (False, nearest)


def test_connections_and_leaks() -> None:
    other = finished(9, 1, client="127.0.0.1:2")
    assert not verdict({"connections": {"at_most": 1}}, *pull(200), other)[0]
    assert verdict({"leaks": 0}, *pull(200))[0]


def test_leaks_are_those_that_the_trap_saw() -> None:
    books = RuleBooks(1, lambda target: ())
    books.book("").load(SourcedScenario(scenario_of({"expect": [{"leaks": 0}]}), ()))
    trap = CredentialTrap(books.leaked)
    (leaking,) = logged(finished(0, 1))
    trap.record(leaking, "Authorization Basic")
    trap.record(leaking, "query password")
    trap.record(finished(0, 1, path="/v2/broken/in/other/a/manifests/1"), "Authorization Basic")
    (found,) = books.book("").verdicts()
    assert (found.met, found.got, found.seen, found.nearest) == (
        False, "2 credentials (Authorization Basic, query password)", 2, [1],
    )  # fmt: skip


def test_order_is_that_of_the_starts() -> None:
    """A long exchange ends after one that it precedes, and before it in another order."""
    long, short = finished(0, 9, 503), finished(1, 0.1, 200)
    expectation = {"order": ["status:503", "status:200"]}
    assert verdict(expectation, short, long)[0]
    assert verdict(expectation, long, short)[0]
    assert not verdict(expectation, finished(2, 0.1, 503), finished(1, 5, 200))[0]
    same = {"order": [MANIFEST, MANIFEST]}
    assert not verdict(same, *pull(200))[0], "an exchange does not follow itself"
    assert verdict(same, *pull(200, 200, apart=0))[0]


@given(st.lists(st.sampled_from((200, 404, 503)), max_size=8), st.randoms(use_true_random=False))
def test_order_does_not_depend_on_the_ends(statuses: list[int], random: Random) -> None:
    exchanges = pull(*statuses)
    random.shuffle(exchanges)
    text = "".join(str(each)[0] for each in statuses)
    expectation = {"order": ["status:503", "status:200", "status:503"]}
    assert verdict(expectation, *exchanges)[0] == bool(re.search("5.*2.*5", text))


def test_order_keeps_a_limited_number_of_matches() -> None:
    matches = OrderedMatches(["status:503", "status:200"])
    for each in logged(*pull(*[503] * 3000), *pull(200, 200)):
        matches.add(each)
    assert len(matches.longest()) == 2
    assert sum(map(len, matches._matches)) <= MAX_MATCHES + 2


def test_spacing() -> None:
    expectation = {"filter": MANIFEST, "spacing": ">=2s"}
    assert verdict(expectation, *pull(503, 503, 200))[0]
    assert verdict(expectation, *pull(503, 200, apart=1)) == (False, "2, once 1s apart", [1, 2])
    assert not verdict(expectation, *pull(200))[0], "there is nothing to be apart from"


def test_an_expectation_without_exchanges_is_not_met() -> None:
    for expectation in ({"filter": MANIFEST, "each": "status:200"}, {"order": ["x", "y"]}, {"filter": "x"}):
        assert not verdict(expectation)[0]


def test_what_passed_when_it_should_fail() -> None:
    """The README's expectations of a healthy pull, of a typo in a glob, and of a client that gives up."""
    healthy = [finished(0, 1, path=f"/v2/app/blobs/sha256:{digit * 64}") for digit in "123"]
    assert not verdict({"filter": "endpoint:layer method:GET attempt:>1"}, *healthy)[0]
    assert not verdict({"order": [f"{MANIFEST} status:503", f"{MANIFEST} status:200"]}, *pull(503))[0]
    typo = book_of({"rules": [{"match": {"repository": "libary/*"}, "fault": "not-found"}]})
    assert [each.met for each in typo.verdicts()] == [False]


def test_rules_are_applied_as_often_as_they_say() -> None:
    fault = {"type": "error", "status": 503}
    book = book_of({"rules": [{"fault": fault, "times": 2}, {"fault": fault, "optional": True},
                              {"fault": fault, "enabled": False}]})  # fmt: skip
    book.evaluate(finished(0, 1))
    assert [(each.kind, each.got, each.met) for each in book.verdicts()] == [("rule", "1", False)]
    book.evaluate(finished(0, 1))
    assert [each.met for each in book.verdicts()] == [True]


def test_the_client_part_of_a_scenario() -> None:
    client = {"exit": "failure", "within": "1m0s", "output": "*denied*", "intact": True}
    book = book_of({"client": client})
    assert written(book.scenario())["client"] == {**client, "within": "1m"}
    assert not book.is_blank
    with pytest.raises(FieldError, match="use failure, any, or an exit status"):
        scenario_of({"client": {"exit": "256"}})


def test_no_request_is_expected() -> None:
    book = book_of({"requests": "none"})
    assert [each.met for each in book.verdicts()] == [True]
    book.expectations.observe(finished(0, 1))
    assert [(each.kind, each.met) for each in book.verdicts()] == [("requests", False)]
    assert book.scenario().requests == "none"
