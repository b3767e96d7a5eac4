"""Verdicts about the rules of a scenario: whether each was applied as often as it says, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.expectations import Verdict
from brokenreg.rules.rule import Rule
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.rule_outcome import OutcomeKind
from brokenreg.wording import counted

MOST_NEAREST = 5
RECENT = 50
"""How many of the newest exchanges of a namespace explain why its rules were not applied."""

_EXPLAINED = 10
"""Maximum number of rules that are explained, because all of them are explained in one turn."""

_FEW = 3
"""Maximum number of reasons for one mismatch."""

_REASONS = {
    OutcomeKind.SKIPPED: "skip has not passed",
    OutcomeKind.EXHAUSTED: "times was reached",
    OutcomeKind.NOT_DRAWN: "the draw for probability failed",
    OutcomeKind.NO_EFFECT: "the fault had no effect",
    OutcomeKind.INAPPLICABLE: "the fault cannot be applied to such a request",
}


def rule_verdicts(rules: Iterable[ActiveRule], recent: Sequence[Exchange] | None) -> Iterator[Verdict]:
    """Yield a verdict for each rule.

    `recent` are the newest exchanges of the namespace, oldest first. Without them, no reasons are given.
    """
    explained = 0
    for active in rules:
        wanted = active.rule.times or 1
        behind = active.behind
        met = active.applied >= wanted and not behind
        reason, nearest = _behind(active, behind) if behind else "", list[int]()
        if not met and not behind and recent is not None and explained < _EXPLAINED:
            explained += 1
            reason, nearest = _explained(active, recent)
        yield Verdict(
            name=active.label,
            kind="rule",
            filter="applied",
            wanted=f"at least {wanted}{_each(active.rule)}",
            got=f"{active.applied}: {reason}" if reason else str(active.applied),
            seen=active.applied,
            met=met,
            nearest=nearest,
        )


def _behind(active: ActiveRule, behind: int) -> str:
    per = active.rule.per
    plural = "repositories" if per == "repository" else f"{per}s"
    return f"fewer than {active.rule.times} for {counted(behind, per, plural)}"


def _each(rule: Rule) -> str:
    return "" if rule.per == "rule" or rule.times is None else f" for each {rule.per}"


def _explained(active: ActiveRule, recent: Sequence[Exchange]) -> tuple[str, list[int]]:
    """Return why a rule was not applied more often, and the exchanges that show it.

    These are the exchanges that matched all fields, or else those that matched all but the fewest.
    """
    applied: list[int] = []
    matched: dict[int, str] = {}
    near: dict[int, list[str]] = {}
    for exchange in recent:
        if exchange.started < active.since:
            continue
        mismatches = list(active.mismatches(exchange))
        if mismatches:
            near[exchange.id] = mismatches
        elif (reason := _obstacle(active, exchange)) is None:
            applied.append(exchange.id)
        elif reason:
            matched[exchange.id] = reason
    if matched:
        return [*matched.values()][-1], [*applied, *matched][-MOST_NEAREST:]
    if active.applied:
        return "no other request matched", applied[-MOST_NEAREST:]
    if not near:
        return "there was no request in its namespace", []
    fewest = min(map(len, near.values()))
    nearest = [each for each, mismatches in near.items() if len(mismatches) == fewest][-MOST_NEAREST:]
    return f"no request matched (nearest: {', '.join(near[nearest[-1]][:_FEW])})", nearest


def _obstacle(active: ActiveRule, exchange: Exchange) -> str | None:
    """Return why a rule that may match was not applied: None if it was."""
    outcome = next((each for each in exchange.rule_outcomes if each.rule is active.evaluated), None)
    if outcome is None:
        return f'the rule "{exchange.rule}" was applied instead' if exchange.rule else "it was not evaluated"
    match outcome.kind:
        case OutcomeKind.APPLIED:
            return None
        case OutcomeKind.OTHER_ATTEMPT:
            return f"attempt {outcome.attempt} is not {active.rule.match.attempt}"
        case OutcomeKind.OTHER_LAYER:
            return f"not layer {active.rule.match.layer} of its manifest"
    return _REASONS[outcome.kind]
