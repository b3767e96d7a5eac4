"""A rule that is in effect, with its counters, and the hit that results when it is applied."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.rule_memory import LocalMemory
from brokenreg.oci.target import Endpoint
from brokenreg.rules.counters import Count, Counts, draw_of
from brokenreg.rules.rule import Rule
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Mismatch, Positions, Predicate
from brokenreg.traffic.rule_outcome import EvaluatedRule, OutcomeKind, RuleOutcome
from brokenreg.traffic.timeline_events import FaultInapplicable

_MAX_OUTCOMES = 16
"""Maximum number of outcomes per exchange of rules that were not applied."""

Places = Callable[[], Collection[int]]
"""Returns the positions of the requested layer, from 1. They are looked up once, when a rule needs them."""


def places_of(exchange: Exchange, positions: Positions) -> Places:
    """Return the positions of the layer that an exchange requests; none if it requests something else."""
    return cache(lambda: positions(exchange.target) if exchange.endpoint is Endpoint.LAYER else ())


def record(exchange: Exchange, outcome: RuleOutcome) -> None:
    """Record an outcome in the exchange. Beyond a limit, only outcomes of applied rules are recorded."""
    if outcome.kind is OutcomeKind.APPLIED or len(exchange.rule_outcomes) < _MAX_OUTCOMES:
        exchange.rule_outcomes += (outcome,)


class ActiveRule:
    """A rule in effect, with its counters. `source` says where it is from: `rules.yaml:12`, a path, ..."""

    def __init__(
        self,
        rule: Rule,
        rule_id: int,
        source: str,
        since: float | None = None,
        *,
        is_required: bool = False,
        identity: str = "",
    ) -> None:
        self.rule = rule
        self.id = rule_id
        self.source = source
        self.since = time.time() if since is None else since
        """When the rule took effect, in seconds since the epoch."""
        self.memory = LocalMemory(self.since)
        self.is_required = is_required
        """Whether the rule is of a scenario, and not optional."""
        self.is_awaited = False
        """Whether another rule names this one in `after`."""
        self.awaited: ActiveRule | None = None
        """The rule in `after`; None without `after`, or if that rule was removed."""
        self.matched = 0
        self.applied = 0
        self.identity = identity or f"{rule_id} {self.since!r}"
        """What tells this rule from all others, at all replicas."""
        self.shared_behind: int | None = None
        """The value of `behind` in a fleet, where the database has the counts; None elsewhere."""
        self._predicates: list[tuple[Mismatch, Predicate]] = rule.match.predicates()
        self._endpoints = rule.endpoints()
        self._counts = Counts(rule.per)

    @property
    def label(self) -> str:
        """Return the name by which exchanges refer to the rule."""
        return self.rule.name or (f"rule {self.id}" if self.id else self.source)

    @property
    def counts_decide(self) -> bool:
        """Return whether it depends on counts whether this or another rule is applied."""
        rule = self.rule
        is_limited = rule.skip > 0 or rule.times is not None or rule.probability < 1
        return is_limited or rule.match.attempt is not None or rule.after is not None or self.is_awaited

    @property
    def needs_attempt(self) -> bool:
        """Return whether the number of the attempt decides: by itself, or because the draw depends on it."""
        return self.rule.match.attempt is not None or self.rule.probability < 1

    def count_key(self, exchange: Exchange) -> str:
        """Return the key of the count that an exchange belongs to.

        That of a rule in an image path is never empty: clients choose paths, so old counts are removed.
        """
        return self._counts.key(exchange) or ("" if self.id else "path")

    @cached_property
    def evaluated(self) -> EvaluatedRule:
        """The description of the rule in its outcomes."""
        rule = self.rule
        return EvaluatedRule(
            id=self.id,
            label=self.label,
            source=self.source,
            faults=tuple({"type": fault.name, **fault.parameters()} for fault in rule.fault),
            skip=rule.skip,
            times=rule.times,
            probability=rule.probability,
            attempt=rule.match.attempt,
            layer=rule.match.layer,
            after=rule.after,
        )

    @property
    def behind(self) -> int:
        """Return the number of repositories, references or clients with fewer than `times` applications.

        It is 0 for a rule that does not count them separately, and for one that is left to chance.
        """
        rule = self.rule
        if rule.times is None or rule.per == "rule" or rule.probability < 1:
            return 0
        if self.shared_behind is not None:
            return self.shared_behind
        return self._counts.applied_less_often(rule.times, rule.skip)

    @property
    def is_armed(self) -> bool:
        """Return whether the rule can still be applied. One that counts by client always can."""
        rule = self.rule
        is_exhausted = rule.times is not None and rule.per == "rule" and self.applied >= rule.times
        return rule.enabled and not is_exhausted

    def may_match(self, exchange: Exchange) -> bool:
        """Return whether the rule is enabled and matches; the attempt and the layer position are ignored."""
        return (
            self.rule.enabled
            and exchange.target.endpoint in self._endpoints
            and self.rule.applies_to(exchange.method)
            and all(predicate(exchange) for _, predicate in self._predicates)
        )

    def mismatch_reason(self, exchange: Exchange) -> str:
        """Return why `may_match` is false, in one line; an empty text if it is true."""
        return next(self.mismatches(exchange), "")

    def mismatches(self, exchange: Exchange) -> Iterator[str]:
        """Yield each reason why `may_match` is false."""
        if not self.rule.enabled:
            yield "disabled"
        if exchange.target.endpoint not in self._endpoints:
            yield f"endpoint {exchange.target.endpoint} is not {self.rule.endpoint}"
        elif not self.rule.applies_to(exchange.method):
            yield f"its fault does not apply to {exchange.method}"
        yield from (why(exchange) for why, predicate in self._predicates if not predicate(exchange))

    def evaluate(
        self, exchange: Exchange, seed: int, position: str, attempt: int, places: Places
    ) -> RuleHit | None:
        """Return the hit if the rule is applied to the exchange, or None. `may_match` must be true.

        The draw depends on the name of the rule, or on `position` if it has no name.
        """
        faults = self.applicable(exchange, attempt, places)
        if not faults:
            return None
        rule, count = self.rule, self._counts.of(exchange)
        count.matched += 1
        is_due = count.matched > rule.skip and (rule.times is None or count.applied < rule.times)
        draw, is_drawn = self.draw(exchange, seed, position, attempt) if is_due else (0, False)
        count.applied += is_drawn
        self.matched += 1
        self.applied += is_drawn
        return self.hit(exchange, faults, draw, count, is_due=is_due, is_applied=is_drawn)

    def applicable(self, exchange: Exchange, attempt: int, places: Places) -> list[Fault]:
        """Return the faults that can be applied; none if the exchange does not match after all."""
        if self.rule.after is not None and (self.awaited is None or not self.awaited.applied):
            record(exchange, RuleOutcome(self.evaluated, OutcomeKind.WAITING))
            return []
        match = self.rule.match
        if match.attempt is not None and match.attempt != attempt:
            record(exchange, RuleOutcome(self.evaluated, OutcomeKind.OTHER_ATTEMPT, attempt=attempt))
            return []
        if match.layer is not None and match.layer not in places():
            record(exchange, RuleOutcome(self.evaluated, OutcomeKind.OTHER_LAYER))
            return []
        faults = self._applicable_faults(exchange)
        if not faults:
            record(exchange, RuleOutcome(self.evaluated, OutcomeKind.INAPPLICABLE))
        return faults

    def _applicable_faults(self, exchange: Exchange) -> list[Fault]:
        """Return the faults that can be applied. Record in the timeline why the others cannot."""
        faults = []
        for fault in self.rule.fault:
            reason = fault.inapplicable_reason(exchange) if fault.applies_to(exchange.method) else ""
            if reason:
                exchange.add(FaultInapplicable(fault.name, reason))
            elif reason is None:
                faults.append(fault)
        return faults

    def draw(self, exchange: Exchange, seed: int, position: str, attempt: int) -> tuple[int, bool]:
        """Return 64 bits that depend on the request, and whether the rule is applied by its probability."""
        draw = draw_of(seed, self.rule.name or position, exchange, attempt)
        probability = self.rule.probability
        return draw, probability >= 1 or draw < probability * 2**64

    def hit(
        self,
        exchange: Exchange,
        faults: list[Fault],
        draw: int,
        count: Count,
        *,
        is_due: bool,
        is_applied: bool,
    ) -> RuleHit | None:
        """Record the outcome of a match that was counted, and return the hit if the rule is applied.

        `is_due` says that it is past its `skip` and has `times` left.
        """
        kind = OutcomeKind.APPLIED
        if not is_due:
            kind = OutcomeKind.SKIPPED if count.matched <= self.rule.skip else OutcomeKind.EXHAUSTED
        elif not is_applied:
            kind = OutcomeKind.NOT_DRAWN
        outcome = RuleOutcome(self.evaluated, kind, count.matched, count.applied)
        record(exchange, outcome)
        return RuleHit(self, faults, draw, exchange, outcome, count) if is_applied else None


@dataclass(slots=True)
class RuleHit:
    """A rule that is applied to an exchange, with the faults that can be applied and the draw."""

    active: ActiveRule
    faults: list[Fault]
    draw: int
    """64 bits that depend on the seed and on the request."""
    exchange: Exchange
    outcome: RuleOutcome
    count: Count
    undone: Callable[[], asyncio.Task[None]] | None = None
    """Called by `undo` if the count is shared with other replicas."""
    undoing: asyncio.Task[None] | None = None
    """Undoes the shared count. The response waits for it: another replica may get the next request."""
    _without_effect: int = 0

    def note_no_effect(self) -> None:
        """Record that one of the faults has no effect. Undo the hit if this is true of all of them."""
        self._without_effect += 1
        if self._without_effect == len(self.faults):
            self.undo()

    def undo(self) -> None:
        """Stop counting the rule as applied, because none of its faults had an effect."""
        self.count.applied -= 1
        self.active.applied -= 1
        if self.undone is not None:
            self.undoing = self.undone()
        undone = replace(self.outcome, kind=OutcomeKind.NO_EFFECT, applied=self.outcome.applied - 1)
        exchange = self.exchange
        exchange.rule_outcomes = tuple(
            undone if outcome is self.outcome else outcome for outcome in exchange.rule_outcomes
        )
