"""What each kind of database does in its own way: connecting, transactions, and naming errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from brokenreg.storage.changes import Change
from brokenreg.storage.database.connection import Connection


class Engine(Protocol):
    """One kind of database. `Database` calls it in its own thread only."""

    @property
    def connection(self) -> Connection:
        """The open connection."""

    def open(self) -> None:
        """Connect, and create or migrate the tables. Raise `StorageError`."""

    def close(self) -> None:
        """Close the connection. Raise nothing: what was acknowledged is committed."""

    def begin(self) -> None:
        """Begin a transaction that writes."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Commit the transaction. Nothing is acknowledged if this raises an exception."""

    def rollback(self) -> None:
        """Undo the transaction, if there is one. Raise nothing."""

    def committed(self) -> Sequence[Change]:
        """Return the changes that memory has to follow since the last call, in the order of commits."""

    def named(self, error: Exception) -> Exception:
        """Return an error of the database as a `StorageError`, and any other error unchanged."""

    def unreadable(self, error: Exception) -> str:
        """Return one line that says why the index cannot be loaded, and what to do."""
