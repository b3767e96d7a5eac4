"""Leases: work that one of the processes with the same database does, while the others wait for it.

A process renews its leases while their work makes progress. A lease that is no longer renewed is taken over
by another process, which watches it with its own clock, so that the clocks of machines do not matter. Leases
only save work: a process that was suspended continues although another has taken over its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from brokenreg.concurrency import cancel
from brokenreg.storage.changes import Change, Changes, LeaseEnded
from brokenreg.storage.database import Connection, Database
from brokenreg.storage.errors import StorageError

logger = logging.getLogger(__name__)

BEAT = 2.0
"""Seconds between two renewals, and between two looks at the lease of another process."""

LOST = 4
"""Number of looks in a row, `BEAT` apart, that find a lease without renewal until it is taken over."""

_PARTING = 0.5
"""Seconds in which a lease can be ended. Otherwise, it expires."""

# Takes a lease that does not exist, or that another process has lost.
_TAKE = """
INSERT INTO leases (name, holder, beat) VALUES (?, ?, 1) ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, beat = 1 WHERE leases.holder = ? AND leases.beat = ?
"""
_SELECT = "SELECT holder, beat FROM leases WHERE name = ?"
_RENEW = "UPDATE leases SET beat = beat + 1 WHERE name = ? AND holder = ?"
_END = "DELETE FROM leases WHERE name = ? AND holder = ?"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of this process.

    `holder` is different each time that a lease is taken. It begins with the name of the process.
    """

    name: str
    holder: str


@dataclass(frozen=True, slots=True)
class _Held:
    """A lease as another process has it."""

    holder: str
    beat: int


_NOBODY = _Held("", 0)


def _always() -> bool:
    return True


def _ignore(_: str) -> None:
    """Ignore who has a lease."""


def replica_of(holder: str) -> str:
    """Return the name of the process that has a lease. An older brokenreg has none: an empty string."""
    return holder.rpartition("-")[0]


class Leases:
    """Takes, renews and ends leases. `end_all` ends the renewals. Belongs to one event loop."""

    def __init__(self, database: Database, replica: str = "") -> None:
        """`replica` is the name of this process among those that share the database."""
        self._database = database
        self._replica = replica
        self._own: dict[Lease, Callable[[], bool]] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def take(
        self,
        name: str,
        patience: float = math.inf,
        is_wanted: Callable[[], bool] = _always,
        is_active: Callable[[], bool] = _always,
        on_held: Callable[[str], None] = _ignore,
    ) -> Lease | None:
        """Take a lease once no other process has it. Raise `StorageError`.

        Return None if that takes longer than `patience` seconds, or as soon as `is_wanted` is false. It is
        called whenever the lease of another process has ended. `is_active` says before each renewal whether
        the work makes progress: if not, another process takes the lease over. `on_held` is called with the
        `holder` of the lease, each time this process has looked.
        """
        deadline = asyncio.get_running_loop().time() + patience
        lease = Lease(name, f"{self._replica}-{uuid.uuid4().hex}")
        seen, looks = _NOBODY, 0
        with self._noticing(name) as ended:
            while True:
                ended.clear()
                found = await self._look_or_try(lease, seen, is_lost=looks >= LOST)
                if found is None:
                    self._hold(lease, is_active)
                    return lease
                looks = looks + 1 if found == seen else 0
                seen = found
                on_held(found.holder)
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 or not is_wanted():
                    return None
                if looks < LOST:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(BEAT, left)):
                            await ended.wait()
                if not is_wanted():
                    return None

    def is_held(self, lease: Lease) -> bool:
        """Return whether a lease has neither ended nor been taken over, as far as this process knows."""
        return lease in self._own

    async def end(self, lease: Lease, done: Sequence[Change] = ()) -> None:
        """End a lease, so that others take it immediately. If the database cannot be reached, it expires.

        All processes learn of the changes in `done` first.
        """
        if self._own.pop(lease, None) is not None:
            await self._end([lease], done)

    async def end_lost(self, name: str, holder: str) -> None:
        """End the lease of a process that has certainly ended, before others notice that. Raise nothing."""
        await self._end([Lease(name, holder)])

    async def end_all(self) -> None:
        """End all leases and the renewals."""
        leases = list(self._own)
        self._own.clear()
        if self._renewing is not None:
            await cancel(self._renewing)
        if leases:
            await self._end(leases)

    def ended(self, name: str) -> None:
        """Wake those who wait for a lease, which has ended in whichever process."""
        for event in self._waiting.get(name, ()):
            event.set()

    @contextlib.contextmanager
    def _noticing(self, name: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]

    async def _look_or_try(self, lease: Lease, seen: _Held, *, is_lost: bool) -> _Held | None:
        """Take a lease and return None, or return who has it. Looking does not delay those who write."""
        if seen != _NOBODY and not is_lost:
            found = await self._database.read(
                lambda connection: connection.execute(_SELECT, (lease.name,)).fetchall()
            )
            if found:
                return _Held(*found[0])
        return await self._try(lease, seen if is_lost else _NOBODY)

    async def _try(self, lease: Lease, lost: _Held) -> _Held | None:
        """Take a lease and return None, or return who has it. `lost` is who has lost it."""
        found: list[_Held] = []

        def work(connection: Connection) -> Changes:
            found.clear()
            taken = connection.execute(_TAKE, (lease.name, lease.holder, lost.holder, lost.beat))
            if taken.rowcount != 1:
                found.extend(_Held(*row) for row in connection.execute(_SELECT, (lease.name,)).fetchall())
            return ()

        try:
            await self._database.write(work)
        except asyncio.CancelledError:  # the transaction may continue
            await self._end([lease])
            raise
        return found[0] if found else None

    async def _end(self, leases: Sequence[Lease], done: Sequence[Change] = ()) -> None:
        def work(connection: Connection) -> Changes:
            rows = [(lease, connection.execute(_END, (lease.name, lease.holder))) for lease in leases]
            return [*done, *(LeaseEnded(lease.name) for lease, ended in rows if ended.rowcount == 1)]

        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(_PARTING):
                await self._database.write(work)

    def _hold(self, lease: Lease, is_active: Callable[[], bool]) -> None:
        self._own[lease] = is_active
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="renewing leases")

    async def _renew(self) -> None:
        while self._own:
            await asyncio.sleep(BEAT)
            try:
                lost = await self._renewed([lease for lease, is_active in self._own.items() if is_active()])
            except StorageError as error:  # the database has already been reported
                logger.debug("leases were not renewed: %s", error)
            else:
                for lease in lost:
                    self._own.pop(lease, None)

    async def _renewed(self, leases: Sequence[Lease]) -> set[Lease]:
        """Renew leases. Return those that were taken over."""
        lost: set[Lease] = set()

        def work(connection: Connection) -> Changes:
            lost.clear()
            for lease in leases:
                if connection.execute(_RENEW, (lease.name, lease.holder)).rowcount != 1:
                    lost.add(lease)
            return ()

        if leases:
            await self._database.write(work)
        return lost
