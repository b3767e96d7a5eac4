"""What the faults of a rule remember in a fleet: counts in the database, which all replicas share."""

from __future__ import annotations

import time

from brokenreg.faults.rule_memory import FaultCount
from brokenreg.registry.responses import as_oci_error
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.counting import Counting

_SINCE = "since"


class SharedMemory:
    """The counts of a rule (a `RuleMemory`), which took effect at `since`.

    It is None for a rule of an image path, which takes effect when a replica first needs to know.
    """

    def __init__(self, counting: Counting, identity: str, since: float | None) -> None:
        self._counting = counting
        self._identity = identity
        self._since = since

    async def since(self) -> float:
        """Return when the rule took effect, as `RuleMemory.since` says."""
        if self._since is not None:
            return self._since
        return time.time() - (await self.add(_SINCE, 0)).age

    async def add(
        self, key: str, amount: int = 1, *, first: int = 0, lasts: float | None = None
    ) -> FaultCount:
        """Add to a count, as `RuleMemory.add` says."""
        found = await self._add(key, amount, first, lasts)
        if found is None:
            raise TypeError("a count with a first number is always found")
        return found

    async def add_to_existing(self, key: str, amount: int = 1) -> FaultCount | None:
        """Add to a count, as `RuleMemory.add_to_existing` says."""
        return await self._add(key, amount, None, None)

    async def begin(self, key: str) -> None:
        """Begin a count, as `RuleMemory.begin` says."""
        try:
            await self._counting.begin(self._identity, key)
        except StorageError as error:
            raise as_oci_error(error) from None

    async def _add(self, key: str, amount: int, first: int | None, lasts: float | None) -> FaultCount | None:
        try:
            found = await self._counting.add(self._identity, key, amount, first=first, lasts=lasts)
        except StorageError as error:
            raise as_oci_error(error) from None
        return None if found is None else FaultCount(*found)
