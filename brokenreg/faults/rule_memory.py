"""What the faults of a rule remember between exchanges: counts by key."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache

_MAX_COUNTS = 10_000


@dataclass(frozen=True, slots=True)
class FaultCount:
    """A count of a fault, and how many seconds ago it began."""

    count: int
    age: float


class RuleMemory(Protocol):
    """The counts that the faults of one rule keep. In a fleet, all replicas share them."""

    async def since(self) -> float:
        """Return when the rule took effect, in seconds since the epoch. Raise `OCIError` as `add` does."""

    async def add(
        self, key: str, amount: int = 1, *, first: int = 0, lasts: float | None = None
    ) -> FaultCount:
        """Add to a count, which begins with `first`. After `lasts` seconds, it begins again with 0.

        Raise `OCIError` 503 UNAVAILABLE if the database of a fleet cannot be reached.
        """

    async def add_to_existing(self, key: str, amount: int = 1) -> FaultCount | None:
        """Add to a count that has begun, or return None. Raise `OCIError` as `add` does."""

    async def begin(self, key: str) -> None:
        """Let a count begin now, with 0. Raise `OCIError` as `add` does."""


@dataclass(slots=True)
class _Count:
    count: int
    began: float


class LocalMemory:
    """The counts of a rule in this process. The least recently used ones are forgotten."""

    def __init__(self, since: float | None = None) -> None:
        self._since = time.time() if since is None else since
        self._counts: LRUCache[str, _Count] = LRUCache(_MAX_COUNTS)

    async def since(self) -> float:
        """Return when the rule took effect, as `RuleMemory.since` says."""
        return self._since

    async def add(
        self, key: str, amount: int = 1, *, first: int = 0, lasts: float | None = None
    ) -> FaultCount:
        """Add to a count, as `RuleMemory.add` says."""
        now = time.monotonic()
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = _Count(first, now)
        elif lasts is not None and now >= found.began + lasts:
            found = self._counts[key] = _Count(0, now)
        found.count += amount
        return FaultCount(found.count, now - found.began)

    async def add_to_existing(self, key: str, amount: int = 1) -> FaultCount | None:
        """Add to a count, as `RuleMemory.add_to_existing` says."""
        return await self.add(key, amount) if key in self._counts else None

    async def begin(self, key: str) -> None:
        """Begin a count, as `RuleMemory.begin` says."""
        self._counts[key] = _Count(0, time.monotonic())
