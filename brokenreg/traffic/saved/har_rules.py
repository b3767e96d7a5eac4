"""Reads the explanations of rules from our HAR files."""

from __future__ import annotations

from typing import Any

from brokenreg.redaction import redact_text
from brokenreg.traffic.explained_rule import ExplainedRule, ExplainedRules
from brokenreg.traffic.rule_outcome import EvaluatedRule, OutcomeKind, RuleOutcome
from brokenreg.traffic.saved.members import count_in, list_in, text_in

_MOST = 200
_LONGEST = 1024
_MOST_FAULTS = 32
_MOST_PARAMETERS = 32
_DEPTH = 4


def rules_in(entry: dict[str, Any]) -> ExplainedRules | None:
    """Return the explanations in an entry, or None if it has none."""
    if not isinstance(entry.get("_rules"), list):
        return None
    rules = tuple(_rule(each) for each in list_in(entry, "_rules", _MOST) if isinstance(each, dict))
    return ExplainedRules(rules, count_in(entry, "_rules_omitted") or 0)


def outcomes_of(explained: ExplainedRules) -> tuple[RuleOutcome, ...]:
    """Return the outcomes of the final rules, as far as their explanations have them."""
    return tuple(_outcome(each) for each in explained.final if each.outcome in {*OutcomeKind})


def _outcome(rule: ExplainedRule) -> RuleOutcome:
    evaluated = EvaluatedRule(
        id=rule.id or 0,
        label=rule.label,
        source=rule.source,
        faults=rule.faults,
        skip=0,
        times=None,
        probability=1,
        attempt=None,
        layer=None,
        after=None,
    )
    return RuleOutcome(evaluated, OutcomeKind(rule.outcome))


def _rule(said: dict[str, Any]) -> ExplainedRule:
    is_final = said.get("final") is True
    return ExplainedRule(
        id=count_in(said, "id"),
        label=text_in(said, "rule", _LONGEST),
        source=text_in(said, "source", _LONGEST),
        outcome=text_in(said, "outcome", _LONGEST),
        reason=redact_text(text_in(said, "reason", _LONGEST)),
        is_final=is_final,
        faults=_faults(said) if is_final else (),
        matched=count_in(said, "matched"),
        applied=count_in(said, "applied"),
    )


def _faults(said: dict[str, Any]) -> tuple[dict[str, object], ...]:
    faults = [each for each in list_in(said, "faults", _MOST_FAULTS) if isinstance(each, dict)]
    return tuple(_plain(each, _DEPTH) for each in faults if isinstance(each.get("type"), str))


def _plain(value: Any, depth: int) -> Any:
    """Return a JSON value within limits: `depth` levels, and a number of members and characters."""
    if isinstance(value, str):
        return text_in({"": value}, "", _LONGEST)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        return None
    if isinstance(value, list):
        return [_plain(each, depth - 1) for each in value[:_MOST_PARAMETERS]]
    names = list(value)[:_MOST_PARAMETERS]
    return {name[:_LONGEST]: _plain(value[name], depth - 1) for name in names}
