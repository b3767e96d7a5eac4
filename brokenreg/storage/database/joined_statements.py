"""A transaction whose statements are sent together, because each wait for the server takes a round trip.

A pipeline of libpq would do the same, but not safely: while the server waits for the rest of a pipeline,
`idle_in_transaction_session_timeout` does not apply. A process that is stopped then would keep its locks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import psycopg

from brokenreg.storage.database.connection import Cursor
from brokenreg.storage.database.postgresql_connection import PostgreSQLConnection, translated

_MOST_STATEMENTS, _MOST_CHARACTERS = 100, 1024 * 1024
"""Maximum number and size of the statements that wait."""

_MOST_PREPARED = 200
"""Maximum number of statements that are prepared on a connection."""

_PREPARABLE = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


class PreparedStatements:
    """The statements that are prepared on a connection: planning them each time would take most of the time.

    This is `PREPARE` and `EXECUTE` in SQL, because the messages of the protocol cannot be sent together.
    """

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self.connection = connection
        self._literals = psycopg.ClientCursor(connection)
        self._names: dict[str, str] = {}
        self._unsure: list[str] = []
        """Those that may not have been prepared yet."""
        self._numbers = count(1)
        self.are_lost = False
        """Whether the server may have prepared statements of which the names are forgotten."""

    def statement(self, sql: str, parameters: Sequence[Any]) -> tuple[str, int]:
        """Return a statement without parameters, and the number of its results. The last one counts."""
        name = self._names.get(sql)
        if name is None and (len(self._names) >= _MOST_PREPARED or not _PREPARABLE.match(sql)):
            return self._literals.mogrify(translated(sql), parameters), 1
        marks = ", ".join(["%s"] * len(parameters))
        if name is not None:
            return self._literals.mogrify(_execute(name, marks), parameters), 1
        # Each attempt has a new name: if it fails, it is not known which of the statements were executed.
        name = self._names[sql] = f"brokenreg_{next(self._numbers)}"
        self._unsure.append(sql)
        execute = self._literals.mogrify(_execute(name, marks), parameters)
        return f"PREPARE {name} AS {_numbered(sql)}; {execute}", 2

    def settle(self, *, are_executed: bool) -> None:
        """Note whether all statements since the last call were executed."""
        if are_executed:
            self.are_lost = False
        elif self._unsure or self.are_lost:
            self.are_lost = True
            self._names.clear()
        self._unsure.clear()


def _execute(name: str, marks: str) -> str:
    return f"EXECUTE {name}({marks})" if marks else f"EXECUTE {name}"


def _numbered(sql: str) -> str:
    """Return a statement with the placeholders of PREPARE."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


class JoinedStatements:
    """Executes statements when the result of one is used, or when `send` is called.

    Their parameters become literals, because the server accepts several statements together only without
    parameters. If a statement fails, its error is raised then, and again for each later statement.
    """

    def __init__(self, prepared: PreparedStatements) -> None:
        self._prepared = prepared
        prepared.settle(are_executed=False)  # those of a transaction that has failed
        self._waiting: list[tuple[str, _Result]] = []
        if prepared.are_lost:  # otherwise, more and more of them would fill the memory of the server
            self._waiting.append(("DEALLOCATE ALL", _Result(self, 1)))
        self._size = 0
        self._failure: psycopg.Error | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        if self._failure is not None:
            raise self._failure
        statement, results = self._prepared.statement(sql, parameters)
        result = _Result(self, results)
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
            cursor = self._prepared.connection.execute(
                "; ".join(statement for statement, _ in waiting).encode()
            )
        except psycopg.Error as error:
            self._failure = error
            self._prepared.settle(are_executed=False)
            raise
        self._prepared.settle(are_executed=True)
        for _, result in waiting:
            result.receive(cursor)


class _Result:
    """The result of a statement that may not have been executed yet."""

    def __init__(self, statements: JoinedStatements, number: int) -> None:
        """The result is the last of `number` results of the server."""
        self._statements = statements
        self._number = number
        self._rows: Iterator[Any] | None = None
        self._count = 0

    def receive(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        """Take the next result of a cursor."""
        for _ in range(1, self._number):
            cursor.nextset()
        self._count = cursor.rowcount
        self._rows = iter(() if cursor.description is None else cursor.fetchall())
        cursor.nextset()

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
