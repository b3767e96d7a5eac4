"""A rule in force: what it counts, and what it draws."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.licence import Licence
from brokenreg.oci.target import Endpoint
from brokenreg.rules.rule import Rule
from brokenreg.rules.rule_outcome import Outcome, RuleOutcome, record, retract
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Positions, Predicate
from brokenreg.traffic.memory import Memory

_REMEMBERED = 10_000
"""Repositories, references or clients that one rule counts apart, and attempts that are remembered."""


@dataclass(slots=True)
class _Count:
    matched: int = 0
    applied: int = 0


Places = Callable[[], Collection[int]]
"""The places of the layer that an exchange is about, from 1; looked up once, and only if somebody asks."""


def places_of(exchange: Exchange, positions: Positions) -> Places:
    """The places of its layer; none if it is about something else."""
    return cache(lambda: positions(exchange.target) if exchange.endpoint is Endpoint.LAYER else ())


class ActiveRule:
    """A rule in force, with what it has seen; `source` is where it came from: `rules.yaml:12`, ..."""

    def __init__(self, rule: Rule, rule_id: int, source: str) -> None:
        self.rule = rule
        self.id = rule_id
        self.source = source
        self.memory: dict[Any, Any] = {}
        """What its fault keeps between exchanges."""
        self.since = time.time()
        """Seconds since the epoch: from when on it is asked."""
        self._predicates: list[tuple[str, Predicate]] = rule.match.predicates()
        self._endpoints = rule.endpoints()
        self._attempt = rule.match.attempt
        self._layer = rule.match.layer
        self.matched = 0
        self.applied = 0
        self._counts: Memory[str, _Count] = Memory(_REMEMBERED)

    @property
    def label(self) -> str:
        """What an exchange says of it."""
        return self.rule.name or (f"rule {self.id}" if self.id else self.source)

    @property
    def is_armed(self) -> bool:
        """Whether it may strike yet. What a rule counts apart, by client for instance, has no end."""
        rule = self.rule
        is_spent = rule.times is not None and rule.per == "rule" and self.applied >= rule.times
        return rule.enabled and not is_spent

    def may_apply(self, exchange: Exchange) -> bool:
        """Whether it is enabled and matches, but for `attempt` and the place of a layer."""
        return (
            self.rule.enabled
            and exchange.target.endpoint in self._endpoints
            and self.rule.takes(exchange.method)
            and all(predicate(exchange) for _, predicate in self._predicates)
        )

    def inapplicable_reason(self, exchange: Exchange) -> str:
        """Why `may_apply` is false, in one line; empty if it is not."""
        if not self.rule.enabled:
            return "is disabled"
        if exchange.target.endpoint not in self._endpoints:
            return f"endpoint {exchange.target.endpoint} is not {self.rule.endpoint}"
        if not self.rule.takes(exchange.method):
            return f"its fault does not strike {exchange.method}"
        wrong = (what for what, predicate in self._predicates if not predicate(exchange))
        return next(wrong, "")

    def ask(
        self, exchange: Exchange, seed: int, position: str, attempt: int, places: Places
    ) -> Choice | None:
        """Its strike on an exchange that it matches; None if it does not strike this one.

        `position` stands for its name in the draw, if it has none.
        """
        if self._attempt is not None and self._attempt != attempt:
            record(exchange, RuleOutcome(self, Outcome.ATTEMPT, attempt=attempt))
            return None
        if self._layer is not None and self._layer not in places():
            record(exchange, RuleOutcome(self, Outcome.LAYER))
            return None
        faults = []
        for fault in self.rule.fault:
            inapplicable_reason = fault.inapplicable_reason(exchange) if fault.takes(exchange.method) else ""
            if inapplicable_reason:
                exchange.mark(f"{fault.name}: passed over, {inapplicable_reason}")
            elif inapplicable_reason is None:
                faults.append(fault)
        if not faults:
            record(exchange, RuleOutcome(self, Outcome.INAPPLICABLE))
            return None
        lot = self._draw(exchange, seed, position, attempt)
        return Choice(self, faults, lot) if lot is not None else None

    def _draw(self, exchange: Exchange, seed: int, position: str, attempt: int) -> Lot | None:
        """Count a match, and say whether it is to be struck."""
        rule = self.rule
        counts = self._count(exchange)
        counts.matched += 1
        self.matched += 1
        outcome = Outcome.APPLIED
        draw = 0
        if counts.matched <= rule.skip:
            outcome = Outcome.SKIPPED
        elif rule.times is not None and counts.applied >= rule.times:
            outcome = Outcome.SPENT
        else:
            draw = draw_of(seed, rule.name or position, exchange, attempt)
            if rule.probability < 1 and draw >= rule.probability * 2**64:
                outcome = Outcome.LOST
        if outcome is Outcome.APPLIED:
            counts.applied += 1
            self.applied += 1
        verdict = RuleOutcome(self, outcome, counts.matched, counts.applied)
        record(exchange, verdict)
        return Lot(draw, counts, exchange, verdict) if outcome is Outcome.APPLIED else None

    def _count(self, exchange: Exchange) -> _Count:
        return self._counts.setdefault(_key(self.rule.per, exchange), _Count())


class Attempts:
    """How many times the same was asked, by method, path faults, repository and reference.

    Whatever rules there are and whichever struck, all of them count alike.
    """

    def __init__(self) -> None:
        self._seen: Memory[tuple[str, ...], int] = Memory(_REMEMBERED)

    def count(self, exchange: Exchange) -> int:
        """Count one more; its number, from 1."""
        target = exchange.target
        key = (
            target.namespace,
            *target.faults,
            exchange.method,
            target.endpoint,
            target.repository,
            _asked(exchange),
        )
        attempt = self._seen.get(key, 0) + 1
        self._seen[key] = attempt
        return attempt

    def forget(self, namespace: str) -> None:
        """Count anew in that namespace."""
        for key in [key for key in self._seen if key[0] == namespace]:
            del self._seen[key]


@dataclass(slots=True)
class Lot:
    """A strike that was drawn; `give_back` if nothing came of it."""

    draw: int
    counts: _Count
    exchange: Exchange
    verdict: RuleOutcome

    def give_back(self) -> None:
        self.counts.applied -= 1
        self.verdict.active.applied -= 1
        retract(self.exchange, self.verdict)


@dataclass(slots=True)
class Choice:
    """The rule that strikes an exchange, those of its faults that can, and its draw."""

    active: ActiveRule
    faults: list[Fault]
    lot: Lot

    def licence(self) -> Licence:
        """What its faults are lent."""
        return Licence(self.lot.draw, self.active.memory, len(self.faults), self.lot.give_back)


def draw_of(seed: int, rule: str, exchange: Exchange, attempt: int) -> int:
    """64 bits that depend on what is asked, never on the order in which requests arrive."""
    target = exchange.target
    what = (
        str(seed),
        rule,
        exchange.method,
        target.endpoint,
        target.repository,
        _asked(exchange),
        str(attempt),
    )
    return int.from_bytes(hashlib.blake2b("\x1f".join(what).encode(), digest_size=8).digest())


def _asked(exchange: Exchange) -> str:
    """The reference, as far as two runs have it in common: upload ids are made up."""
    return "" if exchange.endpoint is Endpoint.UPLOAD else exchange.target.reference


def _key(per: str, exchange: Exchange) -> str:
    match per:
        case "repository":
            return exchange.target.repository
        case "reference":
            return f"{exchange.target.repository}:{exchange.target.reference}"
        case "client":
            return f"{exchange.client.rpartition(':')[0]} {exchange.user_agent}"
    return ""
