"""The pane Why: which rule was applied, and why the others were not."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.rules.explanations import explain
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.traffic.explained_rule import ExplainedRule, ExplainedRules
from brokenreg.traffic.timeline_events import (
    BreakpointMatched,
    FaultHadNoEffect,
    FaultInapplicable,
    HoldRequested,
    ResponseEdited,
)
from brokenreg.traffic.timeline_text import text_of
from brokenreg.tui.text import visible
from brokenreg.tui.traffic import outcome
from brokenreg.tui.traffic.detail.headers import Part, only_a_line

MOST_RULES = 40
"""Rules that are shown."""

_EXPLAINING = (FaultInapplicable, FaultHadNoEffect, BreakpointMatched, HoldRequested, ResponseEdited)
"""Events that explain the response in addition to the rules."""


def why(exchange: Exchange, rules: RuleBooks) -> Iterator[Part]:
    """Yield what was applied, what had no effect, and each rule of the namespace in evaluation order."""
    explained = explain(exchange, rules, MOST_RULES)
    yield f"{_summary(exchange, explained)}\n", "bold"
    for explanation in explained.final if explained else ():
        yield from _applied(explanation)
    for event, _ in exchange.timeline:
        if isinstance(event, _EXPLAINING):
            yield f"  {visible(text_of(event))}\n", "bold"
    if explained is None:
        reason = (
            only_a_line(exchange) if exchange.place else "The file does not say which rules were evaluated"
        )
        yield f"\n{reason}\n", ""
    else:
        yield from _others(explained)


def _summary(exchange: Exchange, explained: ExplainedRules | None) -> str:
    if exchange.origin is Origin.SECOND:
        return "No rules are evaluated at the second origin"
    if exchange.faults:
        return f'Fault {outcome.faults_word(exchange)}, by "{visible(exchange.rule or "a rule")}"'
    if explained and explained.final:
        return "Rule matched, but its fault had no effect"
    if exchange.target.error is not None:
        return "No fault was applied: the request was refused before rules were evaluated"
    return "No fault was applied"


def _applied(explanation: ExplainedRule) -> Iterator[Part]:
    yield "  rule     ", "$secondary"
    yield f"{visible(explanation.label)}\n", ""
    yield "  source   ", "$secondary"
    yield f"{visible(explanation.source)}\n", ""
    yield "  outcome  ", "$secondary"
    yield f"{visible(explanation.reason)}\n", ""
    if explanation.matched is not None:
        yield "  total    ", "$secondary"
        yield f"matched {explanation.matched}, applied {explanation.applied}\n", ""
    for fault in explanation.faults:
        words = [str(fault["type"]), *(f"{name}={value}" for name, value in fault.items() if name != "type")]
        yield "  fault    ", "$secondary"
        yield f"{visible(' '.join(words))}\n", ""


def _others(explained: ExplainedRules) -> Iterator[Part]:
    if not explained.others:
        yield f"\nNo {'other ' if explained.final else ''}rules in this namespace\n", ""
        return
    yield f"\n{'Other rules' if explained.final else 'Rules'} in this namespace\n", "bold"
    for explanation in explained.others[:MOST_RULES]:
        yield f"  {visible(explanation.label)}  ", ""
        yield f"{visible(explanation.source)}\n", "$secondary"
        yield f"    {visible(explanation.reason)}\n", ""
    omitted = explained.omitted + max(0, len(explained.others) - MOST_RULES)
    if omitted:
        yield f"  and {omitted} more\n", "$secondary"
