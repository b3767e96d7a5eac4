"""Objects whose libraries are imported after the start, in a thread that does not block the event loop.

Imports take most of the time of a start, and the first requests need few libraries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from brokenreg.concurrency import ThreadPool

Made = TypeVar("Made")

_THREAD = ThreadPool("imports", 1)
"""A single thread, because the locks of the import system would stop others anyway."""


class Late(Generic[Made]):
    """An object that is created once, when `begin` or `get` is called, by a function that imports libraries.

    If the function fails, `get` raises its exception.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._future: Future[Made] | None = None

    def begin(self) -> Future[Made]:
        """Start to create the object in the thread, after those that were started before."""
        if self._future is None:
            self._future = _THREAD.submit(self._make)
        return self._future

    @property
    def has_begun(self) -> bool:
        """Return whether the object has been created, or is being created."""
        return self._future is not None

    @property
    def is_ready(self) -> bool:
        """Return whether the object has been created, or could not be created."""
        return self._future is not None and self._future.done()

    async def get(self) -> Made:
        """Return the object, waiting until it is created."""
        future = self.begin()
        if future.done():
            return future.result()
        # Shielded, because a client that disconnects must not cancel the creation for others.
        return await asyncio.shield(asyncio.wrap_future(future))
