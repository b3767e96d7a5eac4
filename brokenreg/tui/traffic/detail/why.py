"""The pane Why: which rule was applied, and why the others were not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.explanations import Explanation, explain_final, explain_others, rules_in_namespace
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Exchange, Origin
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

MOST_RULES = 40
"""Rules that are shown."""

_EXPLAINING = (FaultInapplicable, FaultHadNoEffect, BreakpointMatched, HoldRequested, ResponseEdited)
"""Events that explain the response in addition to the rules."""


def why(exchange: Exchange, rules: RuleBooks) -> Iterator[Part]:
    """Yield what was applied, what had no effect, and each rule of the namespace in evaluation order."""
    final = explain_final(exchange)
    yield f"{_summary(exchange, final)}\n", "bold"
    for explanation in final:
        yield from _applied(explanation, rules.find(exchange.target.namespace, explanation.rule))
    for event, _ in exchange.timeline:
        if isinstance(event, _EXPLAINING):
            yield f"  {visible(text_of(event))}\n", "$warning"
    yield from _others(exchange, final, rules_in_namespace(exchange, rules))


def _summary(exchange: Exchange, final: list[Explanation]) -> str:
    if exchange.origin is Origin.SECOND:
        return "No rules are evaluated at the second origin"
    if exchange.faults:
        return f'Fault {cells.faults_word(exchange)}, by "{visible(exchange.rule or "a rule")}"'
    if final:
        return "Rule matched, but its fault had no effect"
    if exchange.target.error is not None:
        return "No fault was applied: the request was refused before rules were evaluated"
    return "No fault was applied"


def _applied(explanation: Explanation, active: ActiveRule | None) -> Iterator[Part]:
    rule = explanation.rule
    yield "  rule     ", "$secondary"
    yield f"{visible(rule.label)}\n", ""
    yield "  source   ", "$secondary"
    yield f"{visible(explanation.source)}\n", ""
    yield "  outcome  ", "$secondary"
    yield f"{explanation.reason}\n", ""
    if active is not None:
        yield "  total    ", "$secondary"
        yield f"matched {active.matched}, applied {active.applied}\n", ""
    for fault in rule.faults:
        words = [str(fault["type"]), *(f"{name}={value}" for name, value in fault.items() if name != "type")]
        yield "  fault    ", "$secondary"
        yield f"{visible(' '.join(words))}\n", ""


def _others(exchange: Exchange, final: list[Explanation], rules: list[ActiveRule]) -> Iterator[Part]:
    explained = {explanation.rule for explanation in final}
    count = sum(active.evaluated not in explained for active in rules)
    if not count:
        yield f"\nNo {'other ' if final else ''}rules in this namespace\n", ""
        return
    yield f"\n{'Other rules' if final else 'Rules'} in this namespace\n", "bold"
    for explanation in islice(explain_others(exchange, rules), MOST_RULES):
        yield f"  {visible(explanation.rule.label)}  ", ""
        yield f"{visible(explanation.source)}\n", "$secondary"
        yield f"    {visible(explanation.reason)}\n", ""
    if count > MOST_RULES:
        yield f"  and {count - MOST_RULES} more\n", "$secondary"
