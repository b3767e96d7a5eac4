"""Verdicts about the exchanges of all replicas of a fleet, from the verdicts of each replica."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from brokenreg.oci.durations import parse_duration
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.expectations import Expectation, Match, ReplicaVerdict
from brokenreg.rules.expected_order import OrderedMatches
from brokenreg.rules.rule_book import RuleBook
from brokenreg.traffic.comparisons import parse_comparison
from brokenreg.wording import counted

_MOST_NEAREST = 5

Column = Sequence[ReplicaVerdict]
"""The verdicts of all replicas about the same expectation or rule."""


class DifferentRulesError(Exception):
    """The replicas do not have the same rules and expectations at the moment."""


def gathered_verdicts(book: RuleBook, replicas: Sequence[Sequence[ReplicaVerdict]]) -> list[ReplicaVerdict]:
    """Return a verdict for each expectation and required rule of a book. Raise `DifferentRulesError`.

    `replicas` are the verdicts of each replica.
    """
    expectations = list(book.expectations)
    rules = [active for active in book if active.is_required and active.rule.enabled]
    none = [None] if book.expectations.requests is not None else []
    subjects: list[Expectation | ActiveRule | None] = [*expectations, *none, *rules]
    if any(len(each) != len(subjects) for each in replicas):
        raise DifferentRulesError
    return [gathered_verdict(subject, column) for subject, *column in zip(subjects, *replicas, strict=True)]


def gathered_verdict(subject: Expectation | ActiveRule | None, column: Column) -> ReplicaVerdict:
    """Return the verdict about an expectation or a rule; None is that no request is expected.

    Raise `DifferentRulesError`.
    """
    if len({(each.kind, each.name, each.filter, each.wanted) for each in column}) > 1:
        raise DifferentRulesError
    if isinstance(subject, ActiveRule):
        return _of_rule(subject, column)
    seen = sum(each.seen for each in column)
    if subject is None:
        return _with(column, str(seen), seen, met=not seen)
    match column[0].kind:
        case "each":
            return _of_each(subject, column, seen)
        case "spacing":
            return _of_spacing(subject, column, seen)
        case "order":
            return _of_order(subject, column)
        case "leaks":
            return _with(column, counted(seen, "credential"), seen, met=not seen)
        case "connections":
            most = 0 if subject.connections is None else subject.connections.at_most
            return _with(column, str(seen), seen, met=seen <= most)
    return _with(column, str(seen), seen, met=subject.is_met(seen))


def _of_rule(active: ActiveRule, column: Column) -> ReplicaVerdict:
    """Return the verdict of a rule. If its counts decide, each replica knows those of the whole fleet."""
    most = max(column, key=lambda each: (each.seen, len(each.nearest)))
    met = any(each.met for each in column)
    if active.counts_decide:
        return _with(column, most.got, most.seen, met=met)
    seen = sum(each.seen for each in column)
    return _with(column, str(seen) if met else most.got, seen, met=met)


def _of_each(subject: Expectation, column: Column, seen: int) -> ReplicaVerdict:
    wrong = sum(each.evidence.violations for each in column)
    got = f"{seen}, {seen - wrong} of them matching"
    return _with(column, got, seen, met=not wrong and subject.is_met(seen))


def _of_spacing(subject: Expectation, column: Column, seen: int) -> ReplicaVerdict:
    """Return the verdict about the spacing of all matches. A replica keeps the newest of its own."""
    fits = parse_comparison(subject.spacing or "", parse_duration)
    starts = sorted(_numbered(column, 0))
    wrong = [
        (first, second)
        for first, second in pairwise(starts)
        if fits is not None and not fits(second[0] - first[0])
    ]
    is_complete = len(starts) == seen
    known = 0 if is_complete else sum(each.evidence.violations for each in column)
    apart = f", once {round(wrong[0][1][0] - wrong[0][0][0], 3)}s apart" if wrong else ""
    met = not wrong and not known and subject.is_met(seen)
    return _with(column, f"{seen}{apart}", seen, met=met)


def _of_order(subject: Expectation, column: Column) -> ReplicaVerdict:
    order = subject.order or ()
    steps = OrderedMatches(order)
    for place in range(len(order)):
        for match in _numbered(column, place):
            steps.add_match(place, match)
    done = len(steps.longest())
    missing = f", then none of {order[done]}" if done < len(order) else ""
    return _with(column, f"{done} in this order{missing}", done, met=done == len(order))


def _numbered(column: Column, place: int) -> Iterable[Match]:
    """Yield the matches of all replicas. Their ids are different, even if replicas gave the same ones."""
    for number, each in enumerate(column):
        for start, exchange in each.evidence.matches[place]:
            yield start, exchange * len(column) + number


def _with(column: Column, got: str, seen: int, *, met: bool) -> ReplicaVerdict:
    """Return a verdict with the exchanges that explain those of the replicas, if it is not met."""
    pairs = [pair for each in column for pair in zip(each.nearest, each.replicas, strict=True)]
    shown = [] if met else pairs[-_MOST_NEAREST:]
    return ReplicaVerdict(
        name=column[0].name,
        kind=column[0].kind,
        filter=column[0].filter,
        wanted=column[0].wanted,
        got=got,
        seen=seen,
        met=met,
        nearest=[exchange for exchange, _ in shown],
        replicas=[replica for _, replica in shown],
    )
