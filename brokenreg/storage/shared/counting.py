"""Counts in the database that several processes increase, and that decide what a rule or its fault does."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from brokenreg.storage.database import Connection, Engine
from brokenreg.storage.shared.counting_thread import CountingThread

_UNLIMITED = 2**62
_RETENTION = 24 * 3600.0
"""Seconds after which an unused count of a client, repository, reference, path or request is forgotten."""

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
_TOTALS = """
SELECT sum(matched), sum(applied), sum(CASE WHEN matched > ? AND applied < ? THEN 1 ELSE 0 END)
FROM rule_counts WHERE rule = ?
"""
_FORGET = "DELETE FROM rule_counts WHERE rule = ?"
_FORGET_BEGINNING = "DELETE FROM rule_counts WHERE substr(rule, 1, ?) = ?"
_MOST_FORGOTTEN = 100_000
"""Counts that one statement deletes, so that it ends in time. The next housekeeping deletes more."""

_FORGET_OLD = """
DELETE FROM rule_counts WHERE (rule, key) IN (
    SELECT rule, key FROM rule_counts WHERE used < ? AND key <> '' LIMIT ?
)
"""

# Counts of faults are in the same table: `used` is when a count ends, or when it began if it has no end.
_ADD = """
INSERT INTO rule_counts (rule, key, matched, applied, is_applied, used) VALUES (?, ?, ?, 0, 0, ?)
ON CONFLICT (rule, key) DO UPDATE SET
    matched = CASE WHEN rule_counts.used <= ? THEN ? ELSE rule_counts.matched + ? END,
    used = CASE WHEN rule_counts.used <= ? THEN excluded.used ELSE rule_counts.used END
RETURNING matched, used
"""
_ADD_TO_EXISTING = (
    "UPDATE rule_counts SET matched = matched + ? WHERE rule = ? AND key = ? RETURNING matched, used"
)
_BEGIN = """
INSERT INTO rule_counts (rule, key, matched, applied, is_applied, used) VALUES (?, ?, 0, 0, 0, ?)
ON CONFLICT (rule, key) DO UPDATE SET matched = 0, used = excluded.used
"""
_NEVER = -1.0
"""A time before which no count ends."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts after a match: how often the rule matched and was applied, and whether it is applied now."""

    matched: int
    applied: int
    is_applied: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The `skip` and `times` of a rule."""

    skip: int
    times: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a rule for all keys, and the number of keys past its `skip` that have `times` left."""

    matched: int
    applied: int
    behind: int


class Counting(CountingThread):
    """Increases counts. Call `close` when done. Each method raises `StorageError`."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _forget_old)

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

        return await self.run((rule, key), work)

    async def undo(self, rule: str, key: str) -> None:
        """Count a match as not applied after all."""

        def work(connection: Connection) -> None:
            connection.execute(_UNDO, (rule, key))

        await self.run((rule, key), work)

    async def add(
        self, rule: str, key: str, amount: int, *, first: int | None, lasts: float | None
    ) -> tuple[int, float] | None:
        """Add to a count of a fault. Return it, and the seconds since it began.

        A missing count begins with `first`; if that is None, nothing is counted, and the result is None. A
        count that has lasted `lasts` seconds begins again with 0.
        """
        now = time.time()
        end, limit = (now, _NEVER) if lasts is None else (now + lasts, now)

        def work(connection: Connection) -> tuple[int, float] | None:
            if first is None:
                found = connection.execute(_ADD_TO_EXISTING, (amount, rule, key)).fetchall()
            else:
                parameters = (rule, key, first + amount, end, limit, amount, amount, limit)
                found = connection.execute(_ADD, parameters).fetchall()
            for count, used in found:
                return count, max(0.0, now - used + (lasts or 0.0))
            return None

        return await self.run((rule, key), work)

    async def begin(self, rule: str, key: str) -> None:
        """Let a count of a fault begin now, with 0."""
        parameters = (rule, key, time.time())

        def work(connection: Connection) -> None:
            connection.execute(_BEGIN, parameters)

        await self.run((rule, key), work)

    async def totals(self, rules: Mapping[str, Limits]) -> Mapping[str, Totals]:
        """Return the counts of these rules, by whichever process, for all keys."""

        def work(connection: Connection) -> Mapping[str, Totals]:
            found = {}
            for rule, limits in rules.items():
                parameters = (limits.skip, limits.times or 0, rule)
                row = connection.execute(_TOTALS, parameters).fetchone()
                found[rule] = Totals(*(int(each or 0) for each in row))
            return found

        return await self.run(("", ""), work) if rules else {}

    async def forget(self, rules: Collection[str]) -> None:
        """Forget the counts of rules that were removed."""

        def work(connection: Connection) -> None:
            for rule in sorted(rules):
                connection.execute(_FORGET, (rule,))

        if rules:
            await self.run(("", ""), work)

    async def forget_beginning(self, prefix: str) -> None:
        """Forget the counts of all rules whose identity begins with `prefix`."""

        def work(connection: Connection) -> None:
            connection.execute(_FORGET_BEGINNING, (len(prefix), prefix))

        await self.run(("", ""), work)


def _forget_old(connection: Connection) -> None:
    connection.execute(_FORGET_OLD, (time.time() - _RETENTION, _MOST_FORGOTTEN))
