"""Stores records (key and JSON) of fabricated images in the index, and finds them by key and digest.

At most `MOST` records are kept. Beyond that, the records that are cheapest to compute again are deleted, and
layers before images. The columns `digest` (`digest` or `manifest`), `config` and `size` are computed from the
JSON by the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from brokenreg.storage.changes import Changes
from brokenreg.storage.database import Connection, Database

MOST = 250_000
"""Maximum number of records of about 500 bytes: enough for about 2,000 images of 127 layers."""

_TRIMMED = 1024
"""Maximum number of records deleted in one transaction, so that a push waits for at most tens of ms."""

_NAMING = """
SELECT key, value FROM recipes WHERE digest = ? UNION SELECT key, value FROM recipes WHERE config = ?
"""
_TRIM = (
    "DELETE FROM recipes WHERE key IN (SELECT key FROM recipes ORDER BY size NULLS FIRST, key DESC LIMIT ?)"
)
_PUT = "INSERT INTO recipes (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

Record = tuple[str, str]
"""A key and JSON."""


class Recipes:
    """The records of one index."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._room = 0
        """How many records can be added before all are counted."""

    async def put(self, records: Sequence[Record]) -> None:
        """Store records durably, in place of records with the same keys."""

        def work(connection: Connection) -> Changes:
            connection.executemany(_PUT, records)
            self._trim(connection, len(records))
            return ()

        await self._database.write(work)

    async def get(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the records with these keys that exist."""
        wanted = [(key,) for key in keys]

        def work(connection: Connection) -> dict[str, str]:
            select = "SELECT key, value FROM recipes WHERE key = ?"
            return dict(row for key in wanted for row in connection.execute(select, key))

        return await self._database.read(work)

    async def beginning_with(self, prefix: str, most: int) -> list[Record]:
        """Return up to `most` records whose keys begin with `prefix` (ASCII), in order of key."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        select = "SELECT key, value FROM recipes WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        return await self._rows(select, (prefix, end, most))

    async def after(self, key: str, most: int) -> list[Record]:
        """Return up to `most` records whose keys come after `key`, in order of key."""
        return await self._rows(
            "SELECT key, value FROM recipes WHERE key > ? ORDER BY key LIMIT ?", (key, most)
        )

    async def last_key(self) -> str:
        """Return the last key in order, or "" without records."""
        ((key,),) = await self._rows("SELECT coalesce(max(key), '') FROM recipes", ())
        return str(key)

    async def naming(self, digest: str) -> list[Record]:
        """Return the records whose digest, manifest or configuration is `digest`."""
        return await self._rows(_NAMING, (digest, digest))

    async def _rows(self, select: str, parameters: tuple[object, ...]) -> list[Any]:
        return await self._database.read(lambda connection: connection.execute(select, parameters).fetchall())

    def _trim(self, connection: Connection, added: int) -> None:
        """Note that records were added. Beyond the limit, delete the cheapest.

        Records that replace others need no room, and other processes add records too. So all are counted
        again, at the latest after an added 64th of the limit.
        """
        self._room -= added
        if self._room >= 0:
            return
        (count,) = connection.execute("SELECT count(*) FROM recipes").fetchone()
        if count > self._most:
            excess = count - self._most + self._most // 64
            count -= connection.execute(_TRIM, (min(excess, _TRIMMED),)).rowcount
        self._room = min(self._most - count, self._most // 64)
