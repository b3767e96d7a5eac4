"""Limits the total size of blobs and uploads. Cached blobs are removed to make room."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from brokenreg.storage.errors import no_room


class Quota:
    """Counts the bytes of blobs and uploads. Without a `limit`, there is always room. Thread-safe."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.used = 0
        self._lock = threading.Lock()

    def excess(self, size: int) -> int:
        """Return the number of bytes to remove to make room for `size` more, or 0 if there is room."""
        return 0 if self.limit is None else max(0, self.used + size - self.limit)

    def take(self, size: int) -> bool:
        """Count bytes that will be written. If there is no room, change nothing and return False."""
        with self._lock:
            if self.excess(size):
                return False
            self.used += size
            return True

    def count(self, size: int) -> None:
        """Count existing bytes, even beyond the limit."""
        with self._lock:
            self.used += size

    def give_back(self, size: int) -> None:
        """Stop counting bytes that were removed or not written."""
        self.count(-size)

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove counted files that still exist. Blocks."""
        for path in paths:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            self.give_back(size)


class EvictableBlobs(Protocol):
    """Cached blobs that can be removed in favour of new content."""

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all unused cached blobs would make room for `size` bytes."""

    async def give_way(self, size: int) -> None:
        """Remove cached blobs until the quota has room for `size` bytes, or none if that is impossible."""


class Room:
    """Reserves room for content before it is written, and removes cached blobs if necessary."""

    def __init__(self, quota: Quota, cache: EvictableBlobs) -> None:
        self.quota = quota
        self._cache = cache

    def check(self, size: int) -> None:
        """Raise `OSError` EDQUOT if there is no room for `size` bytes, even without cached blobs."""
        if not self._cache.can_give_way(size):
            raise no_room()

    async def take(self, size: int) -> None:
        """Reserve `size` bytes, removing cached blobs if necessary. Raise `OSError` EDQUOT without room."""
        while not self.quota.take(size):
            self.check(size)
            await self._cache.give_way(size)
