"""Connections to PostgreSQL on which each wait has a time limit, and the names of their errors."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import conninfo, errors

from brokenreg.redaction import redact_text
from brokenreg.storage.database.connection import Cursor
from brokenreg.storage.errors import DatabaseUnreachableError, StorageError, StorageFullError

_T = TypeVar("_T")

STATEMENT_TIME = 5.0
"""Maximum seconds of a statement and of waiting for a lock. The server cancels it then."""

_SILENCE = 6.0
"""Seconds without any answer after which a connection counts as lost."""

_DEFAULTS = {
    "application_name": "brokenreg",
    "client_encoding": "UTF8",
    "connect_timeout": "3",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "target_session_attrs": "read-write",  # of several hosts, use the one that is not a standby
    "tcp_user_timeout": "6000",
}

# A process that is stopped in the middle of a transaction must not block the others.
_SESSION = f"""
SET statement_timeout = '{STATEMENT_TIME:.0f}s';
SET idle_in_transaction_session_timeout = '{STATEMENT_TIME:.0f}s';
SET default_transaction_isolation = 'read committed';
"""

_OUR_MISTAKES = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    errors.SyntaxError,
    errors.UndefinedFunction,
    errors.UndefinedColumn,
    errors.DatatypeMismatch,
)
"""Errors that are caused by a mistake in this program."""


class SilentError(psycopg.OperationalError):
    """The server has not answered for a long time."""


class PostgreSQLConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up if the server does not answer."""

    def wait(self, gen: Generator[Any, Any, _T], *args: Any, **options: Any) -> _T:
        try:
            return super().wait(_not_silent(gen), *args, **options)
        except SilentError:
            self.close()
            raise


class TranslatingConnection:
    """Executes our statements, whose placeholders are `?`, on a connection."""

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self.raw = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        return self.raw.execute(translated(sql), parameters)

    def close(self) -> None:
        self.raw.close()

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> None:
        self.raw.cursor().executemany(translated(sql), parameters)


def connect(url: str) -> PostgreSQLConnection:
    """Connect. Raise `psycopg.Error`. What the URL says has precedence over our defaults."""
    given = conninfo.conninfo_to_dict(url)
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
    connection = PostgreSQLConnection.connect(url, autocommit=True, **defaults)  # type: ignore[arg-type]
    connection.execute(_SESSION)
    return connection


def named(error: Exception) -> Exception:
    """Return an error of psycopg as a `StorageError`, and any other error unchanged."""
    if not isinstance(error, psycopg.Error) or isinstance(error, _OUR_MISTAKES):
        return error
    result: StorageError
    if isinstance(error, errors.DiskFull):
        result = StorageFullError("the disk of the database is full")
    elif isinstance(error, errors.QueryCanceled):
        result = DatabaseUnreachableError(
            f"the database did not respond within {STATEMENT_TIME:.0f} s; try again later"
        )
    elif isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)):
        result = DatabaseUnreachableError(f"the database cannot be reached: {reason(error)}")
    else:
        result = StorageError(f"the database cannot be used: {reason(error)}")
    result.__cause__ = error
    return result


def reason(error: Exception) -> str:
    """Return what the server or libpq said, as one line without passwords."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return redact_text(lines[0] if lines else type(error).__name__)


def _not_silent(work: Generator[Any, Any, _T]) -> Generator[Any, Any, _T]:
    """Continue `work` of psycopg while the server answers. Raise `SilentError` if it does not."""
    deadline = time.monotonic() + _SILENCE
    try:
        wanted = next(work)
        while True:
            ready = yield wanted
            if ready:
                deadline = time.monotonic() + _SILENCE
            elif time.monotonic() > deadline:
                raise SilentError(f"no answer for {_SILENCE:.0f} s")
            wanted = work.send(ready)
    except StopIteration as end:
        result: _T = end.value
        return result


@lru_cache(256)
def translated(sql: str) -> str:
    """Return a statement with the placeholders of psycopg."""
    return sql.replace("%", "%%").replace("?", "%s")
