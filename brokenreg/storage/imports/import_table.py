"""The table of data folders whose content is copied into the index, and the transactions that copy it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from brokenreg.storage.changes import Changes
from brokenreg.storage.database import Connection, Database
from brokenreg.storage.errors import NotEmptyError
from brokenreg.storage.records import RepositoryKey
from brokenreg.storage.statements import note_push

_ADD = "INSERT INTO imports (source, finished) VALUES (?, 0) ON CONFLICT (source) DO NOTHING"
_FINISH = "UPDATE imports SET finished = ? WHERE source = ?"
_FINISHED = "SELECT finished FROM imports WHERE source = ?"
_UNFINISHED = "SELECT source FROM imports WHERE finished = 0 ORDER BY source"
_CONTENT = ("imports", "pushed", "manifests", "links", "uploads", "objects")
"""The tables that are empty in a new index."""

CopyJob = Callable[[Connection], Changes]


def unfinished(connection: Connection) -> list[str]:
    """Return the data folders whose content has not been copied entirely."""
    return [source for (source,) in connection.execute(_UNFINISHED)]


class ImportTable:
    """The data folders by the names that they have among those that share a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def finished(self, source: str) -> float | None:
        """Return when a folder was copied (seconds since the epoch), 0 if it was not copied entirely.

        Return None if copying has not begun. Raise `StorageError`.
        """
        row = await self._database.read(
            lambda connection: connection.execute(_FINISHED, (source,)).fetchone()
        )
        return None if row is None else float(row[0])

    async def begin(self, source: str) -> None:
        """Note that a folder will be copied. Raise `NotEmptyError` if the index has other content."""
        await self._database.write(partial(_begin, source=source))

    async def finish(self, source: str) -> None:
        """Note that a folder was copied entirely. Raise `StorageError`."""

        def work(connection: Connection) -> Changes:
            connection.execute(_FINISH, (time.time(), source))
            return ()

        await self._database.write(work)

    async def write(self, jobs: Iterable[CopyJob]) -> None:
        """Run jobs in one transaction. Raise `StorageError`."""
        await self._database.write(lambda connection: [each for job in jobs for each in job(connection)])


def note_name(connection: Connection, key: RepositoryKey) -> Changes:
    """Remember the name of a repository that was pushed to, which may be empty now."""
    note_push(connection, key)
    return ()


def _begin(connection: Connection, source: str) -> Changes:
    if connection.execute(_FINISHED, (source,)).fetchone() is None:
        for table in _CONTENT:
            if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608 - ours
                raise NotEmptyError
        connection.execute(_ADD, (source,))
    return ()
