"""Evaluates rules whose counts decide, with the counts of the whole fleet.

These are rules with `skip`, `times`, `attempt`, `probability` or `after`, and those that an `after` names.
Their counts are in the database. All others are evaluated without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable
from typing import Any

from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.counters import Count, request_key
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.counting import Counting
from brokenreg.traffic.exchange import Exchange

logger = logging.getLogger(__name__)


class SharedEvaluation:
    """Evaluates the rules of books with shared counts."""

    def __init__(self, rules: RuleBooks, counting: Counting) -> None:
        self._rules = rules
        self._counting = counting
        self._tasks: set[asyncio.Task[None]] = set()

    def decides(self, exchange: Exchange) -> bool:
        """Return whether an exchange may match a rule whose counts decide."""
        book = self._rules.existing(exchange.target.namespace)
        return book is not None and any(active.counts_decide for active, _ in book.candidates(exchange))

    async def evaluate(self, exchange: Exchange) -> list[RuleHit]:
        """Evaluate the rules in order until one is applied, and return its hit. Raise `StorageError`."""
        book = self._rules.existing(exchange.target.namespace)
        if book is None:
            return []
        candidates = book.candidates(exchange)
        attempt = book.count_attempt(exchange)
        if any(
            active.rule.match.attempt is not None or active.rule.probability < 1 for active, _ in candidates
        ):
            counted = await self._counting.count(book.attempts_id, request_key(exchange), times=0)
            attempt = counted.matched
        for active, position in candidates:
            if hit := await self._evaluate(book, active, exchange, position, attempt):
                return [hit]
        return []

    async def refresh(self, rules: Iterable[ActiveRule]) -> None:
        """Let rules whose counts decide show the counts of the fleet. Raise `StorageError`."""
        deciding = {active.identity: active for active in rules if active.counts_decide}
        for identity, (matched, applied) in (await self._counting.totals(deciding)).items():
            deciding[identity].matched, deciding[identity].applied = matched, applied

    def counted(self, namespace: str) -> set[str]:
        """Return the identities of all counts of a namespace that may be in the database."""
        book = self._rules.existing(namespace)
        return set() if book is None else {book.attempts_id, *(each.identity for each in book)}

    def forget(self, identities: Collection[str]) -> None:
        """Remove counts from the database that nothing uses any more, in the background."""
        if identities:
            self._later(self._counting.forget(identities), "old counts of rules stay in the database")

    async def _evaluate(
        self, book: RuleBook, active: ActiveRule, exchange: Exchange, position: str, attempt: int
    ) -> RuleHit | None:
        seed, places = book.seed, places_of(exchange, self._rules.positions)
        if not active.counts_decide:
            return active.evaluate(exchange, seed, position, attempt, places)
        if active.awaited is not None and not active.awaited.applied:
            await self.refresh([active.awaited])
        faults = active.applicable(exchange, attempt, places)
        if not faults:
            return None
        rule, key = active.rule, active.count_key(exchange)
        draw, is_drawn = active.draw(exchange, seed, position, attempt)
        counted = await self._counting.count(
            active.identity, key, skip=rule.skip, times=rule.times, is_drawn=is_drawn
        )
        if rule.per == "rule":
            active.matched, active.applied = counted.matched, counted.applied
        else:
            active.matched += 1
            active.applied += counted.is_applied
        before = counted.applied - counted.is_applied
        is_due = counted.matched > rule.skip and (rule.times is None or before < rule.times)
        count = Count(counted.matched, counted.applied)
        hit = active.hit(exchange, faults, draw, count, is_due=is_due, is_applied=counted.is_applied)
        if hit is not None:
            hit.undone = lambda: self._undo(active.identity, key)
        return hit

    def _undo(self, identity: str, key: str) -> None:
        self._later(self._counting.undo(identity, key), "a rule without effect still counts as applied")

    def _later(self, work: Coroutine[Any, Any, None], failure: str) -> None:
        async def run() -> None:
            try:
                await work
            except StorageError as error:
                logger.warning("%s: %s", failure, error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
