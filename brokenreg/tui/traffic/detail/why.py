"""The pane Why: which rule was applied, and why the others were not."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.traffic.rule_outcome import EvaluatedRule, OutcomeKind, RuleOutcome
from brokenreg.traffic.timeline_events import (
    BreakpointMatched,
    FaultHadNoEffect,
    FaultInapplicable,
    HoldRequested,
    ResponseEdited,
)
from brokenreg.traffic.timeline_text import text_of
from brokenreg.tui.text import visible
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.detail.headers import Part
from brokenreg.wording import counted

MOST_RULES = 40
"""Rules that are shown."""

_EXPLAINING = (FaultInapplicable, FaultHadNoEffect, BreakpointMatched, HoldRequested, ResponseEdited)
"""Events that explain the response in addition to the rules."""


def why(exchange: Exchange, rules: RuleBooks) -> Iterator[Part]:
    """Yield what was applied, what had no effect, and each rule of the namespace in evaluation order."""
    outcomes = exchange.rule_outcomes
    final = [outcome for outcome in outcomes if outcome.kind.is_final]
    yield f"{_summary(exchange, final)}\n", "bold"
    for outcome in final:
        yield from _applied(outcome, rules.find(exchange.target.namespace, outcome.rule))
    for event, _ in exchange.timeline:
        if isinstance(event, _EXPLAINING):
            yield f"  {visible(text_of(event))}\n", "$warning"
    yield from _others(exchange, book(exchange, rules))


def book(exchange: Exchange, rules: RuleBooks) -> list[ActiveRule]:
    """Return the current rules of the exchange's namespace."""
    namespace = exchange.target.namespace
    return list(rules.book(namespace)) if namespace in rules.namespaces() else []


def _summary(exchange: Exchange, final: list[RuleOutcome]) -> str:
    if exchange.origin is Origin.SECOND:
        return "No rules are evaluated at the second origin"
    if exchange.faults:
        return f'Fault {cells.faults_word(exchange)}, by "{visible(exchange.rule or "a rule")}"'
    if final:
        return "Rule matched, but its fault had no effect"
    if exchange.target.error is not None:
        return "No fault was applied: the request was refused before rules were evaluated"
    return "No fault was applied"


def _applied(outcome: RuleOutcome, active: ActiveRule | None) -> Iterator[Part]:
    rule = outcome.rule
    yield "  rule     ", "$secondary"
    yield f"{visible(rule.label)}\n", ""
    yield "  source   ", "$secondary"
    yield f"{_source(rule)}\n", ""
    yield "  outcome  ", "$secondary"
    yield f"{_outcome_words(outcome)}\n", ""
    if active is not None:
        yield "  total    ", "$secondary"
        yield f"matched {active.matched}, applied {active.applied}\n", ""
    for fault in rule.faults:
        words = [str(fault["type"]), *(f"{name}={value}" for name, value in fault.items() if name != "type")]
        yield "  fault    ", "$secondary"
        yield f"{visible(' '.join(words))}\n", ""


def _source(rule: EvaluatedRule) -> str:
    """Return `faults.yaml:14`, the path, or who added the rule."""
    return visible(rule.source if rule.id else f"path: {rule.source}")


def _others(exchange: Exchange, rules: list[ActiveRule]) -> Iterator[Part]:
    outcomes = {outcome.rule: outcome for outcome in exchange.rule_outcomes}
    final = {rule for rule, outcome in outcomes.items() if outcome.kind.is_final}
    others = [active for active in rules if active.evaluated not in final]
    if not others:
        yield f"\nNo {'other ' if final else ''}rules in this namespace\n", ""
        return
    yield f"\n{'Other rules' if final else 'Rules'} in this namespace\n", "bold"
    place = next((place for place, active in enumerate(rules) if active.evaluated in final), None)
    for active in others[:MOST_RULES]:
        is_after = bool(final) and (place is None or rules.index(active) > place)
        yield f"  {visible(active.label)}  ", ""
        yield f"{_source(active.evaluated)}\n", "$secondary"
        reason = _reason(exchange, active, outcomes.get(active.evaluated), is_after=is_after)
        yield f"    {visible(reason)}\n", ""
    if len(others) > MOST_RULES:
        yield f"  and {len(others) - MOST_RULES} more\n", "$secondary"


def _reason(exchange: Exchange, active: ActiveRule, outcome: RuleOutcome | None, *, is_after: bool) -> str:
    """Return why a rule was not applied."""
    if outcome is not None:
        return _outcome_words(outcome)
    if active.since > exchange.started:
        return "added later"
    if not active.rule.enabled:
        return "disabled"
    if mismatch := active.mismatch_reason(exchange):
        return f"did not match: {mismatch}"
    if is_after:
        return "not evaluated: another rule matched first"
    if exchange.endpoint is Endpoint.CONNECT or exchange.target.error is not None:
        return "not evaluated"
    return "not evaluated: the request was refused earlier, or other rules were in effect"


def _outcome_words(outcome: RuleOutcome) -> str:
    """Return an outcome in one line, without the name of the rule."""
    rule = outcome.rule
    matched = f"match {outcome.matched}"
    if rule.times is None:
        applied = counted(outcome.applied, "time")
    else:
        applied = f"{outcome.applied} of {counted(rule.times, 'time')}"
    match outcome.kind:
        case OutcomeKind.APPLIED:
            return f"applied to {matched}, {applied} so far"
        case OutcomeKind.NO_EFFECT:
            return f"no effect, so not counted: {matched}, applied {applied}"
        case OutcomeKind.SKIPPED:
            return f"skipped: {matched}, skip {rule.skip}"
        case OutcomeKind.EXHAUSTED:
            return f"exhausted: {matched}, already applied {applied}"
        case OutcomeKind.NOT_DRAWN:
            return f"not drawn: {matched}, probability {rule.probability:g}"
        case OutcomeKind.OTHER_ATTEMPT:
            return f"did not match: attempt {outcome.attempt} is not {rule.attempt}"
        case OutcomeKind.OTHER_LAYER:
            return f"did not match: not layer {rule.layer} of its manifest"
        case OutcomeKind.INAPPLICABLE:
            return "not applicable: see the timeline"
