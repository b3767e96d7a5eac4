"""Waits until all live replicas have adopted a change."""

from __future__ import annotations

import asyncio
import contextlib

from brokenreg.fleet.calls import Calls
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.endpoints import NEWEST, REVISION
from brokenreg.fleet.errors import ReplicaEndedError, ReplicaError
from brokenreg.storage.errors import StorageError

PATIENCE = 2.0
"""Seconds to wait for all replicas."""

_PAUSE = 0.05
"""Seconds between two calls to a replica that has not acknowledged."""


class Acknowledgements:
    """Calls the other replicas, which catch up before they respond."""

    def __init__(self, own: str, directory: Directory, calls: Calls) -> None:
        self._own = own
        self._directory = directory
        self._calls = calls

    async def missing(self, revision: int) -> list[Replica]:
        """Return the live replicas that have not adopted a revision within `PATIENCE`.

        Raise `StorageError`.
        """
        return await self._missing(REVISION % revision)

    async def missing_newest(self) -> list[Replica]:
        """Return the live replicas that have not caught up with the database within `PATIENCE`.

        Raise `StorageError`.
        """
        return await self._missing(NEWEST)

    async def _missing(self, target: str) -> list[Replica]:
        """Return the live replicas that have not responded to a call with 204.

        A replica that refuses connections has ended, even if its last heartbeat was a moment ago.
        """
        others = {each.name: each for each in await self._directory.live() if each.name != self._own}
        waiting = dict(others)

        async def wait_for(replica: Replica) -> None:
            while True:
                if await self._has_acknowledged(replica, target):
                    del waiting[replica.name]
                    return
                await asyncio.sleep(_PAUSE)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*map(wait_for, others.values()))
        return list(waiting.values())

    async def _has_acknowledged(self, replica: Replica, target: str) -> bool:
        """Return whether a replica has responded with 204, or has ended."""
        try:
            response = await self._calls.call(replica, "GET", target)
        except ReplicaEndedError:
            return True
        except ReplicaError:
            with contextlib.suppress(StorageError):
                return await self._directory.find(replica.name) is None
            return False
        return response.status == 204
