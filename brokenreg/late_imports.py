"""Objects whose libraries are imported after the start, by a thread: the event loop is not blocked.

Libraries take most of the time of a start, and the first requests need few of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from brokenreg.concurrency import ThreadPool

Made = TypeVar("Made")

_THREAD = ThreadPool("imports", 1)
"""One thread: the locks of the import system would stop others anyway."""


class Late(Generic[Made]):
    """An object that is made once, by a function that imports what it needs: when `begin` or `get` is called.

    If making it fails, `get` raises that.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._future: Future[Made] | None = None

    def begin(self) -> Future[Made]:
        """Begin to make the object in the thread, after those that were begun before."""
        if self._future is None:
            self._future = _THREAD.submit(self._make)
        return self._future

    @property
    def has_begun(self) -> bool:
        """Return whether the object is made, or being made."""
        return self._future is not None

    async def get(self) -> Made:
        """Return the object, and wait for it if it is not made yet."""
        future = self.begin()
        if future.done():
            return future.result()
        # Shielded: a client that disconnects must not cancel it for others.
        return await asyncio.shield(asyncio.wrap_future(future))
