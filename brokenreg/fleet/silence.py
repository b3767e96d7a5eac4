"""Notices that a replica hangs while calls to it are in flight.

A process that was stopped, or that waits for a disk, keeps its connections open and accepts new ones. How
long a call takes says nothing about that: its body may come from a slow client, and the end of a large upload
takes minutes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NoReturn

from brokenreg.concurrency import SingleFlight
from brokenreg.fleet.calls import Calls
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.endpoints import ALIVE
from brokenreg.fleet.errors import ReplicaError, ReplicaSilentError

PAUSE = 2.0
"""Seconds between two probes."""

PATIENCE = 2.0
"""Seconds in which a replica must respond to a probe."""

MOST_MISSED = 3
"""Number of probes in a row without a response after which a replica hangs. A replica that was itself stopped
for a moment misses only one."""


class SilenceWatch:
    """Probes replicas, each by one task for all calls to it.

    `calls` must not be those that it watches, which may use all connections.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._watches: SingleFlight[Replica, None] = SingleFlight(_ended, linger=PAUSE)

    async def until_silent(self, replica: Replica) -> NoReturn:
        """Wait until a replica does not respond any more, and raise `ReplicaSilentError`."""
        await self._watches.join(replica, partial(self._watch, replica))
        raise ReplicaSilentError(f"{replica} does not respond")

    async def close(self) -> None:
        """End all probes."""
        await self._watches.close()

    async def _watch(self, replica: Replica) -> None:
        missed = 0
        while missed < MOST_MISSED:
            await asyncio.sleep(PAUSE)
            missed = 0 if await self._responds(replica) else missed + 1

    async def _responds(self, replica: Replica) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._calls.call(replica, "GET", ALIVE)
        except (ReplicaError, TimeoutError):
            return False
        return True


def _ended() -> ReplicaError:
    return ReplicaError("this replica is stopping")
