"""Room for what comes in: as much as the quota has, and what cached blobs take if it must be."""

from __future__ import annotations

from brokenreg.storage.cache import CachedBlobs
from brokenreg.storage.errors import no_room
from brokenreg.storage.quota import Quota


class Room:
    """Asked before each write, and before the first of many if it is known how much will come."""

    def __init__(self, quota: Quota, cache: CachedBlobs) -> None:
        self.quota = quota
        self._cache = cache

    def check(self, size: int) -> None:
        """Raise `OSError` EDQUOT if so many bytes cannot be had, whatever made way for them."""
        if not self._cache.can_give_way(size):
            raise no_room()

    async def take(self, size: int) -> None:
        """Take so many bytes, at the cost of cached blobs. Raise `OSError` EDQUOT if that is not enough."""
        while not self.quota.take(size):
            self.check(size)
            await self._cache.give_way(size)
