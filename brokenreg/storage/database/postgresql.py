"""The index in a PostgreSQL database, which several processes share.

Each transaction that changes the index locks the row of `clock`, and appends its changes to the table of
changes under the next numbers. Therefore the order of the numbers is the order of the effects, without gaps,
and a process that has applied all changes up to a number has the state of that number in memory.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import psycopg
from psycopg import errors

from brokenreg.storage.changes import Change
from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.engine import Engine
from brokenreg.storage.database.joined_statements import JoinedStatements, PreparedStatements
from brokenreg.storage.database.kept_connection import KeptConnection
from brokenreg.storage.database.listener import CHANNEL, ChangeListener
from brokenreg.storage.database.postgresql_connection import (
    SilentError,
    TranslatingConnection,
    connect,
    named,
    reason,
)
from brokenreg.storage.database.postgresql_schema import prepare_schema
from brokenreg.storage.database.stored_changes import decode, encode
from brokenreg.storage.errors import DatabaseUnreachableError, StorageError

MOST_CHANGES = 5000
"""Maximum number of changes to follow one by one. Beyond that, it is faster to load everything again."""

_HOUSEKEEPING = 60.0
"""Seconds between two deletions of old changes."""

_DELETE_OLD = (
    "DELETE FROM changes WHERE stored < now() - interval '1 hour'",
    "DELETE FROM uploads WHERE opened < now() - interval '7 days'",  # clients gave these up long ago
)

_PATIENCE = 5.0
"""Seconds to find out whether a transaction was committed when its connection was lost."""

_LOAD_TIME = "SET LOCAL statement_timeout = '10min'"

_LOCK = "SELECT number FROM clock FOR UPDATE"
_NEWER = "SELECT number, batch, body FROM changes WHERE number > ? ORDER BY number LIMIT ?"
_NUMBER_AND_NEWER = """
SELECT clock.number, changes.number, batch, body FROM clock LEFT JOIN changes ON changes.number > ?
ORDER BY changes.number LIMIT ?
"""
_NUMBER_AND_BATCH = """
SELECT clock.number, batch FROM clock LEFT JOIN changes ON changes.number = coalesce(?, clock.number)
"""
_APPEND = f"""
WITH appended AS (
    INSERT INTO changes (number, batch, body)
    SELECT ? + position, ?, body FROM unnest(CAST(? AS TEXT[])) WITH ORDINALITY AS each (body, position)
), advanced AS (UPDATE clock SET number = number + ?)
SELECT pg_notify('{CHANNEL}', ?)
"""  # noqa: S608 - the channel is ours


class PostgreSQL(Engine):
    """The engine of a PostgreSQL database. It connects again by itself when a connection was lost."""

    def __init__(self, url: str, replica: str) -> None:
        self.replica = replica
        self._url = url
        self._kept = KeptConnection(url, self._check_history)
        self._used: TranslatingConnection | None = None
        """The connection of the current job, or of the last one."""
        self._transaction: JoinedStatements | None = None
        self._prepared: PreparedStatements | None = None
        self._listener: ChangeListener | None = None
        self._seen: int | None = None
        """The number of the newest change that memory has, or will have; None before the first snapshot."""
        self._seen_batch: str | None = None
        self._clock = 0
        """The number of the newest change at the beginning of the transaction."""
        self._committed: list[Change] = []
        self._next_housekeeping = 0.0

    @property
    def connection(self) -> Connection:
        self._used = self._kept.connected()
        return self._used

    def open(self) -> None:
        try:
            prepare_schema(self._kept.connected())
        except (psycopg.Error, StorageError) as error:
            self.close()
            if isinstance(error, StorageError) and not isinstance(error, DatabaseUnreachableError):
                raise
            raise StorageError(f"cannot use the database {self._kept.place}: {reason(error)}") from None

    def close(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        self._kept.disconnect()

    def connect(self) -> Connection:
        return TranslatingConnection(connect(self._url))

    def watch(self, wake: Callable[[], None]) -> None:
        self._listener = ChangeListener(self._url, self.replica, wake)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        connection = self._used = self._kept.connected()
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            connection.execute(_LOAD_TIME)
            seen, batch = connection.execute(_NUMBER_AND_BATCH, (None,)).fetchone()
            yield connection
        finally:
            self.rollback()
        self._seen, self._seen_batch = seen, batch
        self._committed, self.is_behind = [], False

    def follow(self) -> None:
        connection = self._used = self._kept.connected()
        if not self.is_behind:
            self._fetch(connection)

    def begin(self) -> Connection:
        self._used = self._kept.connected()
        if self._prepared is None or self._prepared.connection is not self._used.raw:
            self._prepared = PreparedStatements(self._used.raw)
        transaction = self._transaction = JoinedStatements(self._prepared)
        transaction.execute("BEGIN")
        locked = transaction.execute(_LOCK)
        newer = None if self.is_behind else transaction.execute(_NEWER, (self._seen, MOST_CHANGES + 1))
        (self._clock,) = locked.fetchone()
        if newer is not None:
            self._take(self._clock, newer.fetchall())
        return transaction

    def commit(self, changes: Sequence[Change]) -> None:
        connection, transaction = self._used, self._transaction
        if connection is None or transaction is None:
            raise psycopg.InterfaceError("no transaction has begun")
        bodies = [body for change in changes if (body := encode(change)) is not None]
        batch = f"{self.replica}-{uuid.uuid4().hex}"
        if bodies:
            transaction.execute(_APPEND, (self._clock, batch, bodies, len(bodies), self.replica))
        self._keep_house(transaction)
        if (
            not bodies
        ):  # nobody could find out whether it was committed, so that only the commit may fail then
            transaction.send()
        try:
            transaction.execute("COMMIT")
            transaction.send()
        except psycopg.Error:
            if not connection.raw.closed or not self._was_committed(batch if bodies else None):
                raise
        if self.is_behind:
            return
        if bodies:
            self._seen, self._seen_batch = self._clock + len(bodies), batch
        self._committed += changes

    def rollback(self) -> None:
        self._transaction = None
        if self._used is not None and not self._used.raw.closed:
            try:
                self._used.execute("ROLLBACK")
            except psycopg.Error:
                self._kept.disconnect()

    def committed(self) -> Sequence[Change]:
        committed, self._committed = self._committed, []
        return committed

    def recovers(self, error: Exception) -> bool:
        """Return True if the connection was lost before the commit, and there is a new one now."""
        if not isinstance(error, psycopg.Error) or isinstance(error, SilentError):
            return False
        if isinstance(error, errors.ReadOnlySqlTransaction):  # the server has become a standby
            self._kept.disconnect()
        if self._used is None or not self._used.raw.closed:
            return False
        try:
            self._kept.connected()
        except (psycopg.Error, StorageError):
            return False
        return True

    def named(self, error: Exception) -> Exception:
        return named(error)

    def unreadable(self, error: Exception) -> str:
        return f"cannot read the index in the database {self._kept.place}: {error}"

    def _check_history(self, connection: Connection) -> None:
        """Find out whether this is still the database that memory follows, and not an older state of it.

        A standby that took over may lack the newest changes, and a database may be restored.
        """
        if self._seen is not None:
            newest, batch = connection.execute(_NUMBER_AND_BATCH, (self._seen,)).fetchone()
            self.is_behind = self.is_behind or newest < self._seen or batch != self._seen_batch

    def _fetch(self, connection: Connection) -> None:
        rows = connection.execute(_NUMBER_AND_NEWER, (self._seen, MOST_CHANGES + 1)).fetchall()
        self._take(rows[0][0], [row[1:] for row in rows if row[1] is not None])

    def _take(self, newest: int, new: Sequence[tuple[int, str, str]]) -> None:
        """Take changes, of which the newest has that number. If that is impossible, memory is behind."""
        if newest == self._seen:
            return
        if not new or self._seen is None or new[0][0] != self._seen + 1 or len(new) > MOST_CHANGES:
            self.is_behind = True
            return
        self._committed += [change for *_, body in new if (change := decode(body)) is not None]
        self._seen, self._seen_batch, _ = new[-1]

    def _was_committed(self, batch: str | None) -> bool:
        """Return whether a transaction was committed whose connection was lost.

        Raise `DatabaseUnreachableError` if that cannot be found out: it has appended no changes (`batch` is
        None), or the database cannot be reached.
        """
        deadline = time.monotonic() + _PATIENCE
        while batch is not None and time.monotonic() < deadline:
            self._kept.hurry()
            try:
                connection = self._kept.connected()
                connection.raw.execute(
                    f"BEGIN; {_LOCK}"
                )  # waits if the server still works on the transaction
                is_there = "SELECT 1 FROM changes WHERE number > ? AND batch = ?"
                found = connection.execute(is_there, (self._clock, batch)).fetchone()
                connection.execute("ROLLBACK")
            except psycopg.Error:
                time.sleep(0.1)
            else:
                return found is not None
        raise DatabaseUnreachableError(
            "the connection to the database was lost during a commit: the change may or may not be stored"
        )

    def _keep_house(self, connection: Connection) -> None:
        """Delete old rows now and then, as part of a transaction."""
        if time.monotonic() >= self._next_housekeeping:
            self._next_housekeeping = time.monotonic() + _HOUSEKEEPING
            for statement in _DELETE_OLD:
                connection.execute(statement)
