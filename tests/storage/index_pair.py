"""The indexes of two processes that share a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.index import Index


@asynccontextmanager
async def index_pair(database_url: str) -> AsyncIterator[tuple[Index, Index]]:
    """Open both, and end their leases and close them after the block."""
    first = await Index.open(PostgreSQL(database_url, "aaaaaaaa"))
    second = await Index.open(PostgreSQL(database_url, "bbbbbbbb"))
    yield first, second
    for each in (first, second):
        await each.leases.end_all()
        await each.close()
