"""The index in one SQLite file, which no other process uses."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from brokenreg.storage.changes import Change
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.database.sqlite_schema import prepare_schema
from brokenreg.storage.errors import FolderGoneError, StorageError, StorageFullError, is_no_room

_OUR_MISTAKES = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.NotSupportedError,
)
"""SQLite errors that are caused by a mistake in this program."""


class SQLite(Engine):
    """The engine of an index file. It is created if missing."""

    _connection: sqlite3.Connection

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._changed_before = 0
        self._committed: Sequence[Change] = ()

    @property
    def connection(self) -> Connection:
        return self._connection

    def open(self) -> None:
        """Open the file. Raise `StorageError` if it cannot be used, or `NewerIndexError` if it is too new."""
        try:
            _make_private(self._path)
            with contextlib.ExitStack() as stack:
                connection = stack.enter_context(
                    contextlib.closing(sqlite3.connect(self._path, isolation_level=None))
                )
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                # Otherwise a change of more than 64 KiB would keep a file in /var/tmp open, to undo it.
                connection.execute("PRAGMA temp_store = MEMORY")
                prepare_schema(connection)
                stack.pop_all()  # keep the connection open
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"cannot use the index {self._path}: {error}; {_advice(self.named(error))}"
            ) from None
        self._connection = connection
        self._identity = self._current_identity()

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # all acknowledged changes are already on disk
            self._connection.close()

    def begin(self) -> Connection:
        self._changed_before = self._connection.total_changes
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def commit(self, changes: Sequence[Change]) -> None:
        """Commit. Raise `FolderGoneError` if the file is no longer at its path."""
        self._connection.execute("COMMIT")
        is_changed = self._connection.total_changes != self._changed_before
        if is_changed and self._current_identity() != self._identity:
            raise FolderGoneError
        self._committed = [*self._committed, *changes] if self._committed else changes

    def rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            self._connection.execute("ROLLBACK")

    def committed(self) -> Sequence[Change]:
        committed, self._committed = self._committed, ()
        return committed

    def named(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error) or isinstance(error, _OUR_MISTAKES):
            return error
        named = (
            StorageFullError("the disk is full: the index cannot grow")
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            else StorageError(f"the index cannot be used: {error}")
        )
        named.__cause__ = error
        return named

    def unreadable(self, error: Exception) -> str:
        problem = str(error.__cause__ or error).partition("\n")[0]
        return f"cannot read the index {self._path}: {problem}; {_advice(error)}"

    def _current_identity(self) -> tuple[int, int] | None:
        """Return the device and inode of the file at the path, or None if it is missing or unreadable."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _advice(error: Exception) -> str:
    """Return advice for an index that cannot be opened."""
    return "free some disk space" if is_no_room(error) else "to start with a new one, move it away"


def _make_private(path: Path) -> None:
    """Create the file if missing, readable only by its owner. SQLite gives its `-wal` the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for suffix in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).chmod(0o600)
