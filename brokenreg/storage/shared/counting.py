"""Counts in the database that several processes increase, and that decide whether a rule is applied.

Counting has a thread and a connection of its own, because it must not wait for those who change the index.
All counts that wait are increased in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from brokenreg.storage.database import Connection, Engine
from brokenreg.storage.database.batch import next_batch
from brokenreg.storage.errors import DatabaseUnreachableError, StorageClosedError

_T = TypeVar("_T")

_MAX_BATCH = 256
_UNLIMITED = 2**62
_RETENTION = 24 * 3600.0
"""Seconds after which an unused count of a client, repository, reference or request is forgotten."""

_HOUSEKEEPING = 600.0
"""Seconds between two deletions of such counts."""

_IS_APPLIED = "rule_counts.matched >= ? AND rule_counts.applied < ? AND ? = 1"
_COUNT = f"""
INSERT INTO rule_counts (rule, key, matched, applied, is_applied, used) VALUES (?, ?, 1, ?, ?, ?)
ON CONFLICT (rule, key) DO UPDATE SET
    matched = rule_counts.matched + 1,
    applied = rule_counts.applied + CASE WHEN {_IS_APPLIED} THEN 1 ELSE 0 END,
    is_applied = CASE WHEN {_IS_APPLIED} THEN 1 ELSE 0 END,
    used = excluded.used
RETURNING matched, applied, is_applied
"""  # noqa: S608 - no values
_UNDO = "UPDATE rule_counts SET applied = applied - 1 WHERE rule = ? AND key = ? AND applied > 0"
_TOTALS = "SELECT sum(matched), sum(applied) FROM rule_counts WHERE rule = ?"
_FORGET = "DELETE FROM rule_counts WHERE rule = ?"
_FORGET_OLD = "DELETE FROM rule_counts WHERE used < ? AND key <> ''"


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts after a match: how often the rule matched and was applied, and whether it is applied now."""

    matched: int
    applied: int
    is_applied: bool


@dataclass(slots=True)
class _Job:
    order: tuple[str, str]
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = field(default=None)
    error: Exception | None = field(default=None)


class Counting:
    """Increases counts. Call `close` when done. Each method raises `StorageError`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False
        self._next_housekeeping = 0.0
        self._thread = threading.Thread(target=self._run, name="brokenreg-counting", daemon=True)
        self._thread.start()

    async def count(
        self, rule: str, key: str, *, skip: int = 0, times: int | None = None, is_drawn: bool = True
    ) -> Counted:
        """Count a match, and count it as applied if it is past `skip`, fewer than `times`, and drawn."""
        most, drawn = _UNLIMITED if times is None else times, int(is_drawn)
        first = int(is_drawn and skip < 1 and most > 0)
        condition = (skip, most, drawn)
        parameters = (rule, key, first, first, time.time(), *condition, *condition)

        def work(connection: Connection) -> Counted:
            ((matched, applied, is_applied),) = connection.execute(_COUNT, parameters).fetchall()
            return Counted(matched, applied, bool(is_applied))

        return await self._done((rule, key), work)

    async def undo(self, rule: str, key: str) -> None:
        """Count a match as not applied after all."""

        def work(connection: Connection) -> None:
            connection.execute(_UNDO, (rule, key))

        await self._done((rule, key), work)

    async def totals(self, rules: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return how often these rules matched and were applied, by whichever process, for all keys."""

        def work(connection: Connection) -> Mapping[str, tuple[int, int]]:
            found = {rule: connection.execute(_TOTALS, (rule,)).fetchone() for rule in rules}
            return {
                rule: (int(matched or 0), int(applied or 0)) for rule, (matched, applied) in found.items()
            }

        return await self._done(("", ""), work) if rules else {}

    async def forget(self, rules: Collection[str]) -> None:
        """Forget the counts of rules that were removed."""

        def work(connection: Connection) -> None:
            for rule in sorted(rules):
                connection.execute(_FORGET, (rule,))

        if rules:
            await self._done(("", ""), work)

    async def close(self) -> None:
        """Finish what waits, then close the connection."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.shield(self._ended)

    async def _done(self, order: tuple[str, str], work: Callable[[Connection], _T]) -> _T:
        if self._is_closed:
            raise StorageClosedError
        job = _Job(order, work, self._loop.create_future())
        self._jobs.put(job)
        result: _T = await job.future
        return result

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = next_batch(self._jobs, _MAX_BATCH)
            if batch:
                self._run_batch(batch)
                self._loop.call_soon_threadsafe(_finish, batch)
        self._disconnect()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _run_batch(self, batch: list[_Job]) -> None:
        """Run all jobs in one transaction, and again if the connection was lost before the commit.

        They are sorted, so that two processes never wait for each other.
        """
        batch.sort(key=lambda job: job.order)
        for is_last in (False, True):
            is_committing = False
            try:
                connection = self._connected()
                connection.execute("BEGIN")
                for job in batch:
                    job.result = job.work(connection)
                self._keep_house(connection)
                is_committing = True
                connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 - passed to the callers that await the jobs
                named = self._engine.named(error)
                self._disconnect()
                if is_last or is_committing or not isinstance(named, DatabaseUnreachableError):
                    for job in batch:
                        job.error = named
                    return
            else:
                return

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Close the connection, which undoes what was not committed."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def _keep_house(self, connection: Connection) -> None:
        now = time.time()
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + _HOUSEKEEPING
            connection.execute(_FORGET_OLD, (now - _RETENTION,))


def _finish(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():  # the caller was cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
