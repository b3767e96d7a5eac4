"""Evaluates rules whose counts decide, with the counts of the whole fleet.

These are rules with `skip`, `times`, `attempt`, `probability` or `after`, and those that an `after` names, of
books and of image paths. Their counts are in the database. All others are evaluated without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable, Sequence
from typing import Any

from brokenreg.faults.rule_memory import RuleMemory
from brokenreg.rules.active_paths import PathHits, attempts_key, identities_of
from brokenreg.rules.active_rule import ActiveRule, RuleHit, places_of
from brokenreg.rules.counters import Count, request_key
from brokenreg.rules.path_rules import PathRule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.shared_memory import SharedMemory
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.counting import Counting, Limits
from brokenreg.traffic.exchange import Exchange

logger = logging.getLogger(__name__)


class SharedEvaluation:
    """Evaluates the rules of books and paths with shared counts."""

    def __init__(self, rules: RuleBooks, counting: Counting) -> None:
        self._rules = rules
        self._counting = counting
        self._tasks: set[asyncio.Task[None]] = set()
        self._reset_paths: set[str] = set()
        """How the identities of rules begin whose counts must be removed."""
        rules.paths.note_reset = self._reset_paths.add

    def decides(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> bool:
        """Return whether an exchange may match a rule whose counts decide."""
        of_path = self._rules.paths.candidates(exchange, path_rules)
        if any(active.counts_decide for _, active in of_path):
            return True
        book = self._rules.existing(exchange.target.namespace)
        return book is not None and any(active.counts_decide for active, _ in book.candidates(exchange))

    async def evaluate(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[RuleHit]:
        """Return the hits of the path rules; if there are none, that of a rule. Raise `StorageError`."""
        if path_rules and (hits := await self._evaluate_path(exchange, path_rules)):
            return hits
        return await self._evaluate_book(exchange)

    async def _evaluate_path(self, exchange: Exchange, path_rules: Sequence[PathRule]) -> list[RuleHit]:
        paths, namespace = self._rules.paths, exchange.target.namespace
        seed, attempt = self._rules.seed_of(namespace), paths.count_attempt(exchange, path_rules)
        candidates = list(paths.candidates(exchange, path_rules))
        if any(active.needs_attempt for _, active in candidates):
            identity, key = f"{identities_of(namespace)}attempts", attempts_key(exchange, path_rules)
            attempt = (await self._counting.count(identity, key, times=0)).matched
        hits = PathHits()
        for path_rule, active in hits.reached(candidates):
            hits.add(path_rule, await self._evaluate(active, exchange, seed, path_rule.path, attempt))
        return hits.hits

    async def _evaluate_book(self, exchange: Exchange) -> list[RuleHit]:
        book = self._rules.existing(exchange.target.namespace)
        if book is None:
            return []
        candidates = book.candidates(exchange)
        attempt = book.count_attempt(exchange)
        if any(active.needs_attempt for active, _ in candidates):
            counted = await self._counting.count(book.attempts_id, request_key(exchange), times=0)
            attempt = counted.matched
        for active, position in candidates:
            if hit := await self._evaluate(active, exchange, book.seed, position, attempt):
                return [hit]
        return []

    async def refresh(self, rules: Iterable[ActiveRule]) -> None:
        """Let rules whose counts decide show the counts of the fleet. Raise `StorageError`."""
        deciding = {active.identity: active for active in rules if active.counts_decide}
        limits = {identity: Limits(each.rule.skip, each.rule.times) for identity, each in deciding.items()}
        for identity, totals in (await self._counting.totals(limits)).items():
            active = deciding[identity]
            active.matched, active.applied = totals.matched, totals.applied
            active.shared_behind = totals.behind

    def memory(self, active: ActiveRule) -> RuleMemory:
        """Return what the faults of a rule remember, at all replicas."""
        return SharedMemory(self._counting, _of_faults(active), active.since if active.id else None)

    def counted(self, namespace: str) -> set[str]:
        """Return the identities of all counts of a namespace's book that may be in the database."""
        book = self._rules.existing(namespace)
        if book is None:
            return set()
        return {book.attempts_id, *(each.identity for each in book), *map(_of_faults, book)}

    def forget(self, identities: Collection[str]) -> None:
        """Remove counts from the database that nothing uses any more, in the background."""
        if identities:
            self._later(self._counting.forget(identities), "old counts of rules stay in the database")

    @property
    def has_reset_paths(self) -> bool:
        """Return whether `forget_reset_paths` has something to do."""
        return bool(self._reset_paths)

    async def forget_reset_paths(self) -> None:
        """Remove the counts of paths that were reset from the database. Raise `StorageError`."""
        for identities in list(self._reset_paths):
            await self._counting.forget_beginning(identities)
            self._reset_paths.discard(identities)

    async def _evaluate(
        self, active: ActiveRule, exchange: Exchange, seed: int, position: str, attempt: int
    ) -> RuleHit | None:
        places = places_of(exchange, self._rules.positions)
        if not active.counts_decide:
            return active.evaluate(exchange, seed, position, attempt, places)
        if active.awaited is not None:
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

    def _undo(self, identity: str, key: str) -> asyncio.Task[None]:
        return self._later(
            self._counting.undo(identity, key), "a rule without effect still counts as applied"
        )

    def _later(self, work: Coroutine[Any, Any, None], failure: str) -> asyncio.Task[None]:
        async def run() -> None:
            try:
                await work
            except StorageError as error:
                logger.warning("%s: %s", failure, error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _of_faults(active: ActiveRule) -> str:
    """Return the identity of the counts that a rule's faults keep."""
    return f"{active.identity}|faults"
