"""Statements that are sent to PostgreSQL together: their results, errors and round trips."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.digests import Digest
from brokenreg.storage.changes import BlobLinked, Change, Changes, TagDeleted
from brokenreg.storage.database import Connection, Database
from brokenreg.storage.database.joined_statements import JoinedStatements, PreparedStatements
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.database.postgresql_connection import PostgreSQLConnection, connect
from brokenreg.storage.index import Index
from brokenreg.storage.records import StoredObject
from tests.postgresql import PostgreSQLServer
from tests.storage.contents import manifest_of

KEY = ("", "team/app")
BLOB = Digest.of(b"a blob")
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
NUMBER = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def prepared(postgresql: PostgreSQLServer) -> Iterator[PreparedStatements]:
    connection = connect(postgresql.create_database("joined_statements"))
    yield PreparedStatements(connection)
    connection.close()


@given(TEXT, st.binary(), NUMBER, st.floats(allow_nan=False), st.lists(TEXT, min_size=1))
def test_parameters_arrive_as_they_are(
    prepared: PreparedStatements, text: str, data: bytes, number: int, real: float, texts: list[str]
) -> None:
    statements = JoinedStatements(prepared)
    before = statements.execute("SELECT CAST(? AS TEXT), '100%'", (text,))
    query = "SELECT CAST(? AS BYTEA), CAST(? AS BIGINT), CAST(? AS DOUBLE PRECISION), CAST(? AS TEXT[])"
    (row,) = statements.execute(query, (data, number, real, texts))
    assert (bytes(row[0]), *row[1:]) == (data, number, real, texts)
    assert before.fetchone() == (text, "100%")


def test_each_statement_has_its_own_result(prepared: PreparedStatements) -> None:
    statements = JoinedStatements(prepared)
    statements.execute("CREATE TEMPORARY TABLE numbers (number INT)")
    statements.executemany("INSERT INTO numbers VALUES (?)", [(1,), (2,)])
    read = statements.execute("SELECT number FROM numbers ORDER BY number")
    deleted = statements.execute("DELETE FROM numbers WHERE number > ?", (0,))
    none = statements.execute("SELECT number FROM numbers")
    assert deleted.rowcount == 2
    assert (read.fetchone(), read.fetchall(), none.fetchone()) == ((1,), [(2,)], None)
    statements.execute("DROP TABLE numbers")
    statements.send()


def test_after_an_error_nothing_more_is_executed(prepared: PreparedStatements) -> None:
    """A later `ROLLBACK TO SAVEPOINT` would undo what another job has done."""
    statements = JoinedStatements(prepared)
    statements.execute("BEGIN")
    statements.execute("SELECT 1/0")
    never = statements.execute("SELECT 1")
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            never.fetchone()
        with pytest.raises(psycopg.errors.DivisionByZero):
            statements.execute("COMMIT")
    prepared.connection.execute("ROLLBACK")
    assert JoinedStatements(prepared).execute("SELECT 1").fetchone() == (1,)


def test_statements_that_wait_are_limited(prepared: PreparedStatements) -> None:
    statements = JoinedStatements(prepared)
    statements.execute("CREATE TEMPORARY TABLE sizes (size INT)")
    statements.executemany("INSERT INTO sizes VALUES (?)", [(size,) for size in range(250)])
    statements.execute("SELECT CAST(? AS TEXT)", ("x" * 2**20,))
    (count,) = prepared.connection.execute("SELECT count(*) FROM sizes").fetchone() or ()
    assert count == 250
    prepared.connection.execute("DROP TABLE sizes")


def test_statements_that_were_never_sent_are_not_prepared(prepared: PreparedStatements) -> None:
    """A job that fails leaves them behind."""
    JoinedStatements(prepared).execute("SELECT 1 + CAST(? AS INT)", (1,))
    for _ in range(2):
        statements = JoinedStatements(prepared)
        results = [statements.execute("SELECT 1 + CAST(? AS INT)", (number,)) for number in (2, 3)]
        assert [result.fetchone() for result in results] == [(3,), (4,)]


def test_statements_of_transactions_that_fail_are_not_kept(prepared: PreparedStatements) -> None:
    """A disk of the database may be full for hours."""
    for _ in range(20):
        statements = JoinedStatements(prepared)
        with pytest.raises(psycopg.errors.DivisionByZero):
            statements.execute("SELECT 1 / CAST(? AS INT)", (0,)).fetchone()
    for _ in range(2):
        assert JoinedStatements(prepared).execute("SELECT 1 / CAST(? AS INT)", (1,)).fetchone() == (1,)
    (kept,) = prepared.connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() or ()
    assert kept == 1


def change(name: str) -> Change:
    return TagDeleted(KEY, name)


async def test_a_failing_job_does_not_affect_the_others_of_its_batch(database_url: str) -> None:
    applied: list[Change] = []
    memory = SimpleNamespace(load=lambda _: lambda: None, apply=applied.append)
    database = Database(PostgreSQL(database_url, "aaaaaaaa"), memory)
    await database.open()
    are_queued = threading.Event()

    def insert(name: str, connection: Connection) -> Changes:
        connection.execute("INSERT INTO recipes (key, value) VALUES (?, '')", (name,))
        if name == "undecided":
            raise KeyError(name)
        return (change(name),)

    blocking = asyncio.create_task(database.read(lambda _: are_queued.wait(30)))
    names = ("first", "first", "undecided", "third")
    writing = [asyncio.create_task(database.write(partial(insert, name))) for name in names]
    await asyncio.sleep(0)  # all tasks begin
    are_queued.set()
    assert await blocking
    results = await asyncio.gather(*writing, return_exceptions=True)
    kinds = [type(result) for result in results]
    assert kinds == [tuple, psycopg.errors.UniqueViolation, KeyError, tuple]
    assert applied == [change("first"), change("third")]
    rows = await database.read(
        lambda connection: connection.execute("SELECT key FROM recipes ORDER BY key").fetchall()
    )
    assert rows == [("first",), ("third",)]
    await database.close()


@pytest.mark.parametrize("jobs", [1, 2])
async def test_a_job_that_fails_does_not_affect_later_ones(database_url: str, jobs: int) -> None:
    """After a ROLLBACK, psycopg deallocates all prepared statements if it has prepared some itself."""
    memory = SimpleNamespace(load=lambda _: lambda: None, apply=lambda _: None)
    database = Database(PostgreSQL(database_url, "aaaaaaaa"), memory)
    await database.open()

    def put(connection: Connection, *, fails: bool = False) -> Changes:
        connection.execute("INSERT INTO recipes (key, value) VALUES (?, '')", (uuid.uuid4().hex,))
        if fails:
            raise KeyError
        return (change("v1"),)

    def read(connection: Connection) -> list[Any]:
        return connection.execute("SELECT key FROM recipes WHERE key > ?", ("",)).fetchall()

    await database.write(put)
    for _ in range(10):  # psycopg prepares what is executed often
        await database.read(read)
        await database.catch_up()
    writing = [database.write(partial(put, fails=fails)) for fails in (True, False)[:jobs]]
    assert isinstance((await asyncio.gather(*writing, return_exceptions=True))[0], KeyError)
    for number in range(3):
        await database.write(put)
        assert len(await database.read(read)) == number + jobs + 1
    await database.close()


@pytest.fixture
async def index(database_url: str) -> AsyncIterator[Index]:
    index = await Index.open(PostgreSQL(database_url, "aaaaaaaa"))
    yield index
    await index.close()


async def test_pushes_take_few_round_trips(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock, and the rest with the commit; the object of a blob is looked up in between."""
    sent: list[bytes] = []
    execute = PostgreSQLConnection.execute

    def counted(connection: PostgreSQLConnection, query: Any, *parameters: Any) -> Any:
        if isinstance(query, bytes):  # not what the process executes to follow others
            sent.append(query)
        return execute(connection, query, *parameters)

    monkeypatch.setattr(PostgreSQLConnection, "execute", counted)
    await index.link_object(BlobLinked(KEY, BLOB, 1.0, 6, "an upload"), StoredObject("blobs/1", 6, 1.0))
    assert len(sent) == 3
    sent.clear()
    manifest, body = manifest_of(BLOB, name="v1")
    await index.put_manifest(KEY, manifest, body, ["v1", "newest"])
    assert len(sent) == 2
