"""A transaction whose statements are sent together, because each wait for the server takes a round trip.

A pipeline of libpq would do the same, but not safely: while the server waits for the rest of a pipeline,
`idle_in_transaction_session_timeout` does not apply. A process that is stopped then would keep its locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from brokenreg.storage.database.connection import Cursor
from brokenreg.storage.database.postgresql_connection import PostgreSQLConnection, translated

_MOST_STATEMENTS, _MOST_CHARACTERS = 100, 1024 * 1024
"""Maximum number and size of the statements that wait."""


class JoinedStatements:
    """Executes statements when the result of one is used, or when `send` is called.

    Their parameters become literals, because the server accepts several statements at a time only without
    parameters. If a statement fails, its error is raised then, and again for each later statement.
    """

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self._connection = connection
        self._literals = psycopg.ClientCursor(connection)
        self._waiting: list[tuple[str, _Result]] = []
        self._size = 0
        self._failure: psycopg.Error | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        if self._failure is not None:
            raise self._failure
        statement = self._literals.mogrify(translated(sql), parameters)
        result = _Result(self)
        self._waiting.append((statement, result))
        self._size += len(statement)
        if len(self._waiting) >= _MOST_STATEMENTS or self._size >= _MOST_CHARACTERS:
            self.send()
        return result

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> None:
        for each in parameters:
            self.execute(sql, each)

    def close(self) -> None:
        raise NotImplementedError("the connection outlives the transaction")

    def send(self) -> None:
        """Execute the waiting statements. Raise `psycopg.Error` if one of them fails."""
        if self._failure is not None:
            raise self._failure
        waiting, self._waiting, self._size = self._waiting, [], 0
        if not waiting:
            return
        try:
            cursor = self._connection.execute("; ".join(statement for statement, _ in waiting).encode())
        except psycopg.Error as error:
            self._failure = error
            raise
        for _, result in waiting:
            result.receive(cursor)
            cursor.nextset()


class _Result:
    """The result of a statement that may not have been executed yet."""

    def __init__(self, statements: JoinedStatements) -> None:
        self._statements = statements
        self._rows: Iterator[Any] | None = None
        self._count = 0

    def receive(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        """Take the current result of a cursor."""
        self._count = cursor.rowcount
        self._rows = iter(() if cursor.description is None else cursor.fetchall())

    @property
    def rowcount(self) -> int:
        self._received()
        return self._count

    def fetchone(self) -> Any:
        return next(self._received(), None)

    def fetchall(self) -> list[Any]:
        return list(self._received())

    def __iter__(self) -> Iterator[Any]:
        return self._received()

    def _received(self) -> Iterator[Any]:
        if self._rows is None:
            self._statements.send()
        if self._rows is None:
            raise psycopg.InterfaceError("the statement was not executed")
        return self._rows
