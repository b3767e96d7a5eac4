"""The pane Why: which rule struck, and why the others did not."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule_book import RuleBooks
from brokenreg.rules.rule_outcome import Outcome, RuleOutcome, verdicts_of
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.tui.text import visible
from brokenreg.tui.traffic import cells
from brokenreg.tui.traffic.detail.headers import Part

MOST_RULES = 40
"""Rules that are shown."""

_PASSED_OVER = (": passed over, ", ": spared, ")
"""What the timeline says of faults that changed nothing."""

_CHOSEN = (Outcome.APPLIED, Outcome.NO_EFFECT)
"""Outcomes of a rule after which no other rule was evaluated."""

_BY_HAND = ("break ", "told to stop by ", "edited: ")
"""How the timeline begins to say what somebody did to it at the gate."""


def why(exchange: Exchange, rules: RuleBooks) -> Iterator[Part]:
    """What struck; what was passed over; each rule of the namespace, in the order in which they are asked."""
    verdicts = verdicts_of(exchange)
    applied = [verdict for verdict in verdicts if verdict.outcome in _CHOSEN]
    yield f"{_summary(exchange, applied)}\n", "bold"
    for verdict in applied:
        yield from _struck(verdict)
    for what, _ in exchange.timeline:
        if any(words in what for words in _PASSED_OVER) or what.startswith(_BY_HAND):
            yield f"  {visible(what)}\n", "$warning"
    yield from _others(exchange, verdicts, book(exchange, rules))


def book(exchange: Exchange, rules: RuleBooks) -> list[ActiveRule]:
    """The rules that are in force now where the exchange belongs."""
    namespace = exchange.target.namespace
    return list(rules.book(namespace)) if namespace in rules.namespaces() else []


def _summary(exchange: Exchange, applied: list[RuleOutcome]) -> str:
    if exchange.origin is Origin.SECOND:
        return "No rule strikes at the second origin"
    if exchange.faults:
        return f"Fault {cells.faults_word(exchange)}, by {visible(exchange.rule or 'a rule')}"
    if applied:
        return "No fault struck: a rule matched, and its fault had no effect"
    if exchange.target.error is not None:
        return "No fault: the request was refused before any rule was asked"
    return "No fault struck"


def _struck(verdict: RuleOutcome) -> Iterator[Part]:
    active = verdict.active
    yield "  rule    ", "$secondary"
    yield f"{visible(active.label)}\n", ""
    yield "  from    ", "$secondary"
    yield f"{_source(active)}\n", ""
    yield "  here    ", "$secondary"
    yield f"{verdict.words}\n", ""
    yield "  so far  ", "$secondary"
    yield f"matched {active.matched}, struck {active.applied}\n", ""
    for fault in active.rule.fault:
        words = " ".join(f"{name}={value}" for name, value in fault.parameters().items())
        yield "  fault   ", "$secondary"
        yield f"{visible(f'{fault.name} {words}'.rstrip())}\n", ""


def _source(active: ActiveRule) -> str:
    """`faults.yaml, line 14`, the path, or who made it."""
    name, colon, line = active.source.rpartition(":")
    if active.id and colon and line.isdigit():
        return f"{visible(name)}, line {line}"
    return visible(active.source if active.id else f"the path: {active.source}")


def _others(exchange: Exchange, verdicts: list[RuleOutcome], rules: list[ActiveRule]) -> Iterator[Part]:
    said = {id(verdict.active): verdict for verdict in verdicts}
    is_struck = any(verdict.outcome in _CHOSEN for verdict in verdicts)
    others = [active for active in rules if not _did(said, active)]
    if not others:
        yield (
            ("\nThere are no other rules here now\n" if is_struck else "\nThere are no rules here now\n"),
            "",
        )
        return
    yield "\nThe other rules here now\n" if is_struck else "\nThe rules here now\n", "bold"
    place = next((place for place, active in enumerate(rules) if _did(said, active)), None)
    for active in others[:MOST_RULES]:
        is_after = is_struck and (place is None or rules.index(active) > place)
        yield f"  {visible(active.label)}  ", ""
        yield f"{_source(active)}\n", "$secondary"
        yield f"    {visible(_reason(exchange, active, said.get(id(active)), is_after=is_after))}\n", ""
    if len(others) > MOST_RULES:
        yield f"  and {len(others) - MOST_RULES} more\n", "$secondary"


def _did(said: dict[int, RuleOutcome], active: ActiveRule) -> bool:
    verdict = said.get(id(active))
    return verdict is not None and verdict.outcome in _CHOSEN


def _reason(exchange: Exchange, active: ActiveRule, verdict: RuleOutcome | None, *, is_after: bool) -> str:
    """Why it did not strike."""
    if verdict is not None:
        return verdict.words
    if active.since > exchange.started:
        return "came later"
    disabled_reason = active.inapplicable_reason(exchange)
    if disabled_reason:
        return f"did not match: {disabled_reason}"
    if is_after:
        return "was not asked: another struck before"
    if exchange.endpoint is Endpoint.CONNECT or exchange.target.error is not None:
        return "was not asked"
    return "matches, but was not asked: the request was refused before, or other rules were in force"
