"""The processes that share the database, as each of them reports itself.

Each process increases its own `beat` regularly. Others see that it lives as long as its beat changes, so that
the clocks of machines do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brokenreg.storage.changes import Changes
from brokenreg.storage.database import Connection, Database

_ANNOUNCE = """
INSERT INTO replicas (name, address, host, beat) VALUES (?, ?, ?, 1) ON CONFLICT (name) DO UPDATE
SET address = excluded.address, host = excluded.host, beat = replicas.beat + 1
"""
_SELECT = "SELECT name, address, host, beat FROM replicas ORDER BY name"
_REMOVE = "DELETE FROM replicas WHERE name = ? AND address = ? AND beat = ?"


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """A process. `address` is where it receives calls (`host:port`), `host` is the name of its machine."""

    name: str
    address: str
    host: str
    beat: int


class ReplicaTable:
    """The table of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, name: str, address: str, host: str) -> None:
        """Add or change the row of a process, and increase its beat. Raise `StorageError`."""

        def work(connection: Connection) -> Changes:
            connection.execute(_ANNOUNCE, (name, address, host))
            return ()

        await self._database.write(work)

    async def rows(self) -> list[ReplicaRow]:
        """Return all rows, sorted by name. Raise `StorageError`."""
        rows = await self._database.read(lambda connection: connection.execute(_SELECT).fetchall())
        return [ReplicaRow(*row) for row in rows]

    async def remove(self, rows: Sequence[ReplicaRow]) -> None:
        """Remove the rows of processes that have ended, unless they have changed. Raise `StorageError`."""

        def work(connection: Connection) -> Changes:
            connection.executemany(_REMOVE, [(row.name, row.address, row.beat) for row in rows])
            return ()

        if rows:
            await self._database.write(work)
