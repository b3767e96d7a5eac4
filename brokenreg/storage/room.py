"""Room for what comes in: as much as the quota has, and what cached blobs take if it must be."""

from __future__ import annotations

import errno
import os

from brokenreg.storage.cache import CachedBlobs
from brokenreg.storage.quota import Quota


class Room:
    """Asked before each write."""

    def __init__(self, quota: Quota, cache: CachedBlobs) -> None:
        self.quota = quota
        self._cache = cache

    async def take(self, size: int) -> None:
        """Take so many bytes, at the cost of cached blobs. Raise `OSError` EDQUOT if that is not enough."""
        while not self.quota.take(size):
            await self._cache.give_way(size)
            if not self.quota.fits(size):
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
