"""Limits the memory for data that is on its way to or from the object store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MemoryBudget:
    """A number of bytes that callers share. Those that wait get theirs in the order of their requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserved(self, size: int) -> AsyncIterator[None]:
        """Reserve bytes for the block."""
        await self.take(size)
        try:
            yield
        finally:
            self.give_back(size)

    async def take(self, size: int) -> None:
        """Wait until there is room for `size` bytes, and reserve them."""
        granted = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._waiting = deque(each for each in self._waiting if each[1] is not granted)
                self._grant()
            else:
                self.give_back(size)
            raise

    def give_back(self, size: int) -> None:
        """Return reserved bytes."""
        self._used -= size
        self._grant()

    def _grant(self) -> None:
        while self._waiting and (not self._used or self._used + self._waiting[0][0] <= self._limit):
            size, granted = self._waiting.popleft()
            if granted.cancelled():
                continue
            self._used += size
            granted.set_result(None)
