"""Chooses the engine for the URL of a database."""

from __future__ import annotations

from brokenreg.config.databases import SQLITE
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.database.sqlite import SQLite
from brokenreg.storage.errors import StorageError
from brokenreg.storage.folder import DataFolder


def engine_for(url: str, folder: DataFolder) -> Engine:
    """Return the engine for `sqlite:` or `postgresql://...`. Raise `StorageError` without its library."""
    if url == SQLITE:
        return SQLite(folder.index)
    try:
        import psycopg  # noqa: F401 - is it there?
    except ImportError:
        raise StorageError(
            '--database postgresql:// needs psycopg: run pip install "brokenreg[fleet]"'
        ) from None
    from brokenreg.storage.database.postgresql import PostgreSQL

    return PostgreSQL(url, folder.replica_name())
