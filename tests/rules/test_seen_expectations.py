"""Expectations made from what was seen, which the same exchanges meet."""

from __future__ import annotations

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.rules.scenario import Scenario
from brokenreg.rules.seen_expectations import scenario_with, seen_expectations
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.rule_outcome import OutcomeKind, RuleOutcome
from tests.traffic.making import exchange

MANIFEST = "/v2/library/app/manifests/1.0"


def answered(
    path: str = MANIFEST, status: int = 200, method: str = "GET", rule: ActiveRule | None = None
) -> Exchange:
    made = exchange(path, method)
    made.status, made.ended = status, Ended.COMPLETE
    if rule is not None:
        made.rule_outcomes = (RuleOutcome(rule.evaluated, OutcomeKind.APPLIED, 1, 1),)
    return made


def active(place: int, **rule: object) -> ActiveRule:
    return ActiveRule(rule_of({"fault": {"type": "error"}, **rule}), place, "test")


def texts(*run: Exchange, rules: tuple[ActiveRule, ...] = ()) -> list[str]:
    return [each.text for each in seen_expectations(run, rules)]


def test_rules_without_names_get_names_that_differ() -> None:
    rules = (active(1), active(2, times=1), active(3, name="third"), active(4))
    run = [answered(status=500, rule=each) for each in rules[:3]]
    chosen = [each for each in seen_expectations(run, rules) if each.text.startswith("rule")]
    assert [each.text for each in chosen] == [
        "rule error manifest is applied at least 1 time",
        "rule error manifest 2 is applied 1 time",
        "rule third is applied at least 1 time",
    ]
    plain = Scenario(rules=tuple(each.rule for each in rules))
    made = scenario_with(plain, chosen)
    assert [each.name for each in made.rules] == ["error manifest", "error manifest 2", "third", None]
    assert [each.filter for each in made.expect] == [
        'rule:"error manifest"',
        'rule:"error manifest 2"',
        'rule:"third"',
    ]
    assert scenario_with(made, chosen) == made, "nothing is required twice"
    fewer = Scenario(rules=(Rule.model_validate(plain.rules[2]),))
    assert scenario_with(fewer, chosen[:2]) == fewer, "rules that are gone"


def test_what_a_client_got_is_offered() -> None:
    layer = "/v2/library/app/blobs/sha256:" + "a" * 64
    seen = texts(answered(), answered(layer, 500), answered(layer, 206))
    assert seen[0] == "brokenreg run pulls library/app:1.0"
    assert "the client requests only a part of a layer" in seen
    assert "1 layer arrives completely" in seen
    assert "at most 2 requests for layers" in seen
    assert "the client ends with an error" not in seen
    assert "the client ends with an error" in texts(answered(layer, 500))


def test_a_push_names_no_image_to_pull() -> None:
    seen = texts(answered(status=404, method="HEAD"), answered(status=201, method="PUT"))
    assert seen == ["at most 2 requests for manifests"]
    assert seen_expectations((), ()) == []
