"""Waits until the other replicas serve what this one has deleted or replaced."""

from __future__ import annotations

import asyncio
import logging

from brokenreg.concurrency import cancel
from brokenreg.fleet.acknowledgements import Acknowledgements
from brokenreg.storage.errors import StorageError
from brokenreg.wording import listed

logger = logging.getLogger(__name__)


class Deliveries:
    """Calls the other replicas, so that they read the newest changes. Call `close` when done."""

    def __init__(self, acknowledgements: Acknowledgements) -> None:
        self._acknowledgements = acknowledgements
        self._calling = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        """The calls that have not begun. All changes that are committed before they begin share them."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self) -> None:
        """Wait until all live replicas have what was committed before this call.

        Stop waiting for a replica that does not respond in time: it follows later, without a call.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._call())
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)
        await asyncio.shield(self._next)

    async def close(self) -> None:
        """End all calls."""
        await cancel(*self._tasks)

    async def _call(self) -> None:
        async with self._calling:
            self._next = None
            try:
                missing = await self._acknowledgements.missing_newest()
            except StorageError as error:  # without the database, the others cannot follow either
                logger.debug("a change was not delivered: %s", error)
                return
        if missing:
            names = listed(map(str, missing), "and")
            logger.info("%s may serve for a moment what was deleted or replaced", names)
