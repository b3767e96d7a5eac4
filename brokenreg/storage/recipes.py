"""Stores records (key and JSON) of fabricated images in the index file, and finds them by key and digest.

At most `MOST` records are kept. Beyond that, the records that are cheapest to compute again are deleted, and
layers before images. This module reads `digest`, `manifest`, `config` and `size` from the JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from brokenreg.storage.database import Database
from brokenreg.storage.sql import RECIPE_CONFIG, RECIPE_DIGEST, RECIPE_SIZE

MOST = 250_000
"""Maximum number of records of about 500 bytes: enough for about 2,000 images of 127 layers."""

_TRIMMED = 1024
"""Maximum number of records deleted in one transaction, so that a push waits for at most tens of ms."""

_NAMING = f"""
SELECT key, value FROM recipes WHERE {RECIPE_DIGEST} = ?
UNION SELECT key, value FROM recipes WHERE {RECIPE_CONFIG} = ?
"""  # noqa: S608 - parts of our own
_TRIM = f"""
DELETE FROM recipes WHERE key IN (SELECT key FROM recipes ORDER BY {RECIPE_SIZE}, key DESC LIMIT ?)
"""  # noqa: S608

Record = tuple[str, str]
"""A key and JSON."""


class Recipes:
    """The records of one index file."""

    def __init__(self, database: Database, most: int = MOST) -> None:
        self._database = database
        self._most = most
        self._count: int | None = None
        """An upper bound, because replaced records count twice until all records are counted again."""

    async def put(self, records: Sequence[Record]) -> None:
        """Store records durably, in place of records with the same keys."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO recipes VALUES (?, ?)", records)
            self._trim(connection, len(records))

        await self._database.run(work)

    async def get(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the records with these keys that exist."""
        wanted = [(key,) for key in keys]

        def work(connection: sqlite3.Connection) -> dict[str, str]:
            select = "SELECT key, value FROM recipes WHERE key = ?"
            return dict(row for key in wanted for row in connection.execute(select, key))

        found: dict[str, str] = await self._database.run(work)
        return found

    async def beginning_with(self, prefix: str, most: int) -> list[Record]:
        """Return up to `most` records whose keys begin with `prefix` (ASCII), in order of key."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        select = "SELECT key, value FROM recipes WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        return await self._rows(select, (prefix, end, most))

    async def naming(self, digest: str) -> list[Record]:
        """Return the records whose digest, manifest or configuration is `digest`."""
        return await self._rows(_NAMING, (digest, digest))

    async def _rows(self, select: str, parameters: tuple[object, ...]) -> list[Record]:
        rows: list[Record] = await self._database.run(
            lambda connection: connection.execute(select, parameters).fetchall()
        )
        return rows

    def _trim(self, connection: sqlite3.Connection, added: int) -> None:
        """Count added records. Beyond the limit, count all records and delete the cheapest."""
        if self._count is None or self._count + added > self._most:
            (self._count,) = connection.execute("SELECT count(*) FROM recipes").fetchone()
            if self._count > self._most:
                excess = self._count - self._most + self._most // 64
                self._count -= connection.execute(_TRIM, (min(excess, _TRIMMED),)).rowcount
        else:
            self._count += added
