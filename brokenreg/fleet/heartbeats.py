"""The directory of replicas in the database that they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from brokenreg.concurrency import background
from brokenreg.config.addresses import Address
from brokenreg.fleet.directory import Replica
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.replica_table import ReplicaRow, ReplicaTable

logger = logging.getLogger(__name__)

BEAT = 2.0
"""Seconds between two heartbeats of a replica."""

LIVE, FORGOTTEN = 10.0, 60.0
"""Seconds without a heartbeat until a replica counts as ended, and until its row is removed."""


_GAP = 3 * BEAT
"""Seconds without reading the rows after which all replicas are seen as for the first time."""

_PARTING = 0.5
"""Seconds in which a replica that stops can remove its row."""


@dataclass(slots=True)
class _Seen:
    row: ReplicaRow
    since: float
    """When the beat was first seen."""


class Heartbeats:
    """A directory whose replicas are rows of a table. `now` is a clock in seconds.

    A replica lives as long as its beat changes. One that is seen for the first time is assumed to live.
    """

    def __init__(self, table: ReplicaTable, now: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._now = now
        self._seen: dict[str, _Seen] = {}
        self._read = -math.inf
        """When the last reading of all rows began."""
        self._reading = asyncio.Lock()

    async def find(self, name: str, *, not_at: Address | None = None) -> Replica | None:
        """Return a live replica, or None if no live replica has that name. Raise `StorageError`.

        `not_at` is an address at which it no longer is: it may have started again at another.
        """
        found, asked = self._find(name, not_at), self._now()
        if found is None:  # it may have just started
            async with self._reading:
                if self._read <= asked:  # otherwise, another caller has read since
                    await self.refresh()
            found = self._find(name, not_at)
        return found

    async def live(self) -> list[Replica]:
        """Return the replicas that live now, sorted by name. Raise `StorageError`."""
        await self.refresh()
        return [_replica(each.row) for each in self._seen.values() if self._lives(each)]

    @contextlib.asynccontextmanager
    async def announcing(self, own: Replica) -> AsyncIterator[None]:
        """Announce a replica during a block. Raise `StorageError` if that is impossible at its beginning."""
        await self._table.announce(own.name, str(own.address), own.host)
        try:
            async with background(self._beat(own)):
                yield
        finally:
            # Otherwise, others notice that the heartbeats have ended.
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(_PARTING):
                    await self._table.remove(
                        [each for each in await self._table.rows() if each.name == own.name]
                    )

    async def _beat(self, own: Replica) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self._table.announce(own.name, str(own.address), own.host)
                await self.forget_lost()
            except StorageError as error:  # the database has already been reported
                logger.debug("no heartbeat: %s", error)

    async def refresh(self) -> None:
        """Read the rows. Raise `StorageError`."""
        began = self._now()
        rows = await self._table.rows()
        # Without the database, no heartbeat is seen, and that says nothing about the others.
        known = self._seen if began - self._read < _GAP else {}
        self._read, now = began, self._now()
        seen = {}
        for row in rows:
            before = known.get(row.name)
            seen[row.name] = before if before is not None and before.row == row else _Seen(row, now)
        self._seen = seen

    async def forget_lost(self) -> None:
        """Read the rows, and remove those of replicas that were lost long ago. Raise `StorageError`."""
        await self.refresh()
        await self._table.remove([each.row for each in self._seen.values() if self._is_old(each)])

    def _find(self, name: str, not_at: Address | None) -> Replica | None:
        seen = self._seen.get(name)
        if seen is None or not self._lives(seen) or seen.row.address == str(not_at):
            return None
        return _replica(seen.row)

    def _lives(self, seen: _Seen) -> bool:
        return self._now() - seen.since < LIVE

    def _is_old(self, seen: _Seen) -> bool:
        return self._now() - seen.since > FORGOTTEN


def _replica(row: ReplicaRow) -> Replica:
    return Replica(row.name, Address.parse(row.address), row.host)
