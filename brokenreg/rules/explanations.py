"""Explains why each rule was applied to an exchange or not, for the panel and the control API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.explained_rule import ExplainedRule, ExplainedRules
from brokenreg.traffic.rule_outcome import EvaluatedRule, OutcomeKind, RuleOutcome
from brokenreg.wording import counted

MAX_EXPLAINED = 100
"""Maximum number of rules that `rules_as_json` explains."""


class NoOutcome(StrEnum):
    """Why a rule has no outcome in an exchange."""

    ADDED_LATER = "added-later"
    DISABLED = "disabled"
    NO_MATCH = "no-match"
    """Something in `match` does not match."""
    NOT_EVALUATED = "not-evaluated"
    """Another rule was applied first, or the request was refused earlier."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a rule in an exchange, and why. `reason` is one line of text for display."""

    rule: EvaluatedRule
    kind: OutcomeKind | NoOutcome
    reason: str

    @property
    def source(self) -> str:
        """Return `faults.yaml:14`, the path, or who added the rule."""
        return self.rule.source if self.rule.id else f"path: {self.rule.source}"


def rules_in_namespace(exchange: Exchange, books: RuleBooks) -> list[ActiveRule]:
    """Return the current rules of the exchange's namespace."""
    namespace = exchange.target.namespace
    return list(books.book(namespace)) if namespace in books.namespaces() else []


def explain_final(exchange: Exchange) -> list[Explanation]:
    """Explain the rules after which no further rule was evaluated."""
    return [_of(outcome) for outcome in exchange.rule_outcomes if outcome.kind.is_final]


def explain_others(exchange: Exchange, rules: list[ActiveRule]) -> Iterator[Explanation]:
    """Explain those of the rules that `explain_final` does not explain, in the order of evaluation."""
    outcomes = {outcome.rule: outcome for outcome in exchange.rule_outcomes}
    final = {rule for rule, outcome in outcomes.items() if outcome.kind.is_final}
    # A fault of the path is evaluated before all rules; it is not among them.
    is_after = bool(final) and not any(active.evaluated in final for active in rules)
    for active in rules:
        if active.evaluated in final:
            is_after = True
        elif (outcome := outcomes.get(active.evaluated)) is not None:
            yield _of(outcome)
        else:
            yield Explanation(active.evaluated, *_no_outcome(exchange, active, is_after=is_after))


def explain(exchange: Exchange, books: RuleBooks, most: int = MAX_EXPLAINED) -> ExplainedRules | None:
    """Explain the rules of an exchange's namespace, beyond `most` others only their number.

    Return None if the exchange is from a file that does not explain them.
    """
    if exchange.saved is not None:
        return exchange.saved.rules
    final = explain_final(exchange)
    rules = rules_in_namespace(exchange, books)
    explained = {explanation.rule for explanation in final}
    others = sum(active.evaluated not in explained for active in rules)
    shown = [_explained(each) for each in islice(explain_others(exchange, rules), most)]
    namespace = exchange.target.namespace
    return ExplainedRules(
        (*(_explained_final(each, books.find(namespace, each.rule)) for each in final), *shown),
        others - len(shown),
    )


def _explained(explanation: Explanation) -> ExplainedRule:
    rule = explanation.rule
    return ExplainedRule(
        rule.id or None, rule.label, explanation.source, explanation.kind, explanation.reason
    )


def _explained_final(explanation: Explanation, active: ActiveRule | None) -> ExplainedRule:
    explained = replace(_explained(explanation), is_final=True, faults=explanation.rule.faults)
    return explained if active is None else replace(explained, matched=active.matched, applied=active.applied)


def rules_as_json(exchange: Exchange, books: RuleBooks) -> list[dict[str, object]]:
    """Return the explanations of at most `MAX_EXPLAINED` rules as the control API has them."""
    others = explain_others(exchange, rules_in_namespace(exchange, books))
    return [
        {
            "id": explanation.rule.id or None,
            "rule": explanation.rule.label,
            "source": explanation.source,
            "outcome": explanation.kind,
            "reason": explanation.reason,
        }
        for explanation in islice(chain(explain_final(exchange), others), MAX_EXPLAINED)
    ]


def _of(outcome: RuleOutcome) -> Explanation:
    return Explanation(outcome.rule, outcome.kind, _outcome_words(outcome))


def _no_outcome(exchange: Exchange, active: ActiveRule, *, is_after: bool) -> tuple[NoOutcome, str]:
    """Return why a rule has no outcome. `is_after` says that a rule before it was applied."""
    if active.since > exchange.started:
        return NoOutcome.ADDED_LATER, "added later"
    if not active.rule.enabled:
        return NoOutcome.DISABLED, "disabled"
    if mismatch := active.mismatch_reason(exchange):
        return NoOutcome.NO_MATCH, f"did not match: {mismatch}"
    if is_after:
        return NoOutcome.NOT_EVALUATED, "not evaluated: another rule matched first"
    if exchange.endpoint is Endpoint.CONNECT or exchange.target.error is not None:
        return NoOutcome.NOT_EVALUATED, "not evaluated"
    return (
        NoOutcome.NOT_EVALUATED,
        "not evaluated: the request was refused earlier, or other rules were in effect",
    )


def _outcome_words(outcome: RuleOutcome) -> str:
    """Return an outcome in one line, without the name of the rule."""
    rule = outcome.rule
    matched = f"match {outcome.matched}"
    if rule.times is None:
        applied = counted(outcome.applied, "time")
    else:
        applied = f"{outcome.applied} of at most {counted(rule.times, 'time')}"
    match outcome.kind:
        case OutcomeKind.APPLIED:
            return f"applied to {matched}, {applied} so far"
        case OutcomeKind.NO_EFFECT:
            return f"no effect, so not counted: {matched}, applied {applied}"
        case OutcomeKind.SKIPPED:
            return f"skipped: {matched}, skip {rule.skip}"
        case OutcomeKind.EXHAUSTED:
            return f"exhausted: {matched}, applied {applied}"
        case OutcomeKind.NOT_DRAWN:
            return f"not drawn: {matched}, probability {rule.probability:g}"
        case OutcomeKind.WAITING:
            return f"waiting: rule {rule.after} has not been applied yet"
        case OutcomeKind.OTHER_ATTEMPT:
            return f"did not match: attempt {outcome.attempt} is not {rule.attempt}"
        case OutcomeKind.OTHER_LAYER:
            return f"did not match: not layer {rule.layer} of its manifest"
        case OutcomeKind.INAPPLICABLE:
            return "not applicable: see the timeline"
