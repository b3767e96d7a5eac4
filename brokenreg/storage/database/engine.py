"""What each kind of database does in its own way: connecting, transactions, following, and naming errors."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from brokenreg.storage.changes import Change
from brokenreg.storage.database.connection import Connection


class Engine(ABC):
    """One kind of database. `Database` calls it in its own thread only.

    What is defined here suits a database that no other process changes.
    """

    replica = ""
    """The name of this process among those that share the database; empty if it is not shared."""
    is_behind = False
    """True if the changes are not enough to follow the database, so that memory must be loaded again."""

    @property
    @abstractmethod
    def connection(self) -> Connection:
        """The connection for jobs that read. Raise `StorageError` without a connection."""

    @abstractmethod
    def open(self) -> None:
        """Connect, and create or migrate the tables. Raise `StorageError`."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection. Raise nothing: what was acknowledged is committed."""

    @abstractmethod
    def begin(self) -> Connection:
        """Begin a transaction that writes, and return its connection."""

    @abstractmethod
    def commit(self, changes: Sequence[Change]) -> None:
        """Commit the transaction. Nothing is acknowledged if this raises an exception."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo the transaction, if there is one. Raise nothing."""

    @abstractmethod
    def committed(self) -> Sequence[Change]:
        """Return the changes that memory has to follow since the last call, in the order of commits."""

    @abstractmethod
    def named(self, error: Exception) -> Exception:
        """Return an error of the database as a `StorageError`, and any other error unchanged."""

    @abstractmethod
    def unreadable(self, error: Exception) -> str:
        """Return one line that says why the index cannot be loaded, and what to do."""

    def connect(self) -> Connection:
        """Return another connection, for another thread. Raise `StorageError` or what `named` names."""
        raise NotImplementedError("only one process and one thread use this database")

    def snapshot(self) -> contextlib.AbstractContextManager[Connection]:
        """Yield a connection that reads one state of the database, from which `follow` continues."""
        return contextlib.nullcontext(self.connection)

    def watch(self, wake: Callable[[], None]) -> None:  # noqa: B027 - not abstract: nothing to do
        """Call `wake` from any thread whenever other processes may have committed changes."""

    def follow(self) -> None:  # noqa: B027
        """Fetch the changes that other processes have committed, for `committed`."""

    def recovers(self, error: Exception) -> bool:
        """Return whether a job that failed with this error changed nothing, and can be run again now."""
        return False
