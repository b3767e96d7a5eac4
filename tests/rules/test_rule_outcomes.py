"""The outcomes of evaluated rules in an exchange, and undoing a hit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brokenreg.oci.target import parse_target
from brokenreg.rules.path_rules import PathRule
from brokenreg.rules.rule import rule_of
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.rule_outcome import OutcomeKind

PATH = "/v2/library/app/manifests/v1"


def exchange() -> Exchange:
    return Exchange(1, "GET", PATH, "", "1.1", "http", "127.0.0.1:1", parse_target(PATH))


def books(*documents: dict[str, Any]) -> RuleBooks:
    made = RuleBooks(7, lambda _: ())
    for document in documents:
        made.book("").add(rule_of(document), "test")
    return made


def test_each_rule_that_may_match_records_one_outcome_until_one_is_applied() -> None:
    rules = books(
        {"fault": "error", "match": {"attempt": 2}},
        {"fault": "error", "skip": 1},
        {"fault": "h2-goaway", "match": {"endpoint": "manifest"}},
        {"name": "third", "fault": {"type": "error", "status": 503}, "times": 2},
        {"fault": "error"},
    )
    seen = exchange()
    (hit,) = rules.evaluate(seen, ())
    assert [outcome.kind for outcome in seen.rule_outcomes] == [
        OutcomeKind.OTHER_ATTEMPT,
        OutcomeKind.SKIPPED,
        OutcomeKind.INAPPLICABLE,
        OutcomeKind.APPLIED,
    ]
    last = seen.rule_outcomes[-1]
    assert (last.rule.label, last.matched, last.applied, last.rule.times) == ("third", 1, 1, 2)
    assert last.rule.faults == ({"type": "error", "status": 503},)
    assert last.rule is hit.active.evaluated


def test_a_hit_is_undone_once_none_of_its_faults_has_an_effect() -> None:
    rules = books({"fault": ["latency", "error"], "times": 1})
    seen = exchange()
    (hit,) = rules.evaluate(seen, ())
    hit.note_no_effect()
    assert (hit.active.applied, seen.rule_outcomes[0].kind) == (1, OutcomeKind.APPLIED)
    hit.note_no_effect()
    assert (hit.active.matched, hit.active.applied) == (1, 0)
    assert [(each.kind, each.applied) for each in seen.rule_outcomes] == [(OutcomeKind.NO_EFFECT, 0)]
    assert rules.evaluate(exchange(), ()), "its one time is not used up"


def test_the_rule_of_an_outcome_is_found_until_it_is_replaced() -> None:
    rules = books({"fault": "error"})
    (hit,) = rules.evaluate(exchange(), ())
    assert rules.find("", hit.outcome.rule) is hit.active
    assert rules.find("other", hit.outcome.rule) is None
    rules.book("").replace(hit.active.id, rule_of({"fault": "reset"}), "test")
    assert rules.find("", hit.outcome.rule) is None


def test_the_rule_of_a_path_is_found_until_a_reset() -> None:
    rules = books()
    (hit,) = rules.evaluate(exchange(), [PathRule(rule_of({"fault": "error"}), "broken/with/error/app")])
    assert rules.find("", hit.outcome.rule) is hit.active
    rules.reset("")
    assert rules.find("", hit.outcome.rule) is None


def test_of_a_profile_in_a_path_only_the_first_rule_that_matches_is_applied() -> None:
    rules = books()
    first, second = (PathRule(rule_of({"fault": "latency"}), f"p/{place}", "p") for place in (1, 2))
    around, within = (PathRule(rule_of({"fault": "latency"}), name) for name in ("around", "within"))
    hits = rules.evaluate(exchange(), [around, first, second, within])
    assert [hit.active.source for hit in hits] == ["around", "p/1", "within"]


def test_a_rule_of_a_profile_in_a_path_waits_for_another_one() -> None:
    rules = books()
    begins = rule_of({"name": "begins", "fault": "error", "skip": 1, "times": 1})
    follows = rule_of({"name": "follows", "fault": "reset", "match": {"endpoint": "any"}, "after": "begins"})
    path_rules = [PathRule(follows, "p/1", "p"), PathRule(begins, "p/2", "p")]
    evaluated = [rules.evaluate(exchange(), path_rules) for _ in range(4)]
    assert [[hit.active.label for hit in hits] for hits in evaluated] == [
        [],
        ["begins"],
        ["follows"],
        ["follows"],
    ]


def test_the_counts_of_a_profile_in_a_path_are_those_of_a_client() -> None:
    rules = books()
    path_rules = [PathRule(rule_of({"fault": "error", "times": 1, "match": {"attempt": 1}}), "p/1", "p")]
    clients = [replace(exchange(), client=client) for client in ("127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:2")]
    hits = [rules.evaluate(each, path_rules) for each in clients]
    assert [len(each) for each in hits] == [1, 1, 0]
    assert rules.find("", hits[1][0].outcome.rule) is hits[1][0].active
