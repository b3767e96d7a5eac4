"""Numbered migrations: each runs once and entirely, and a database that is too new is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from brokenreg.storage.database.migrations import MIGRATIONS, Migration, migrate
from brokenreg.storage.errors import NewerIndexError

FIRST = Migration(2, ("CREATE TABLE colours (name TEXT)", "INSERT INTO colours VALUES ('red')"))
SECOND = Migration(3, ("INSERT INTO colours VALUES ('blue')",))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def colours(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM colours")]


def test_each_runs_once(connection: sqlite3.Connection) -> None:
    migrate(connection, (FIRST,))
    migrate(connection, (FIRST,))
    assert colours(connection) == ["red"]
    migrate(connection, (FIRST, SECOND))
    assert colours(connection) == ["red", "blue"]


def test_the_release_before_can_use_the_database(connection: sqlite3.Connection) -> None:
    migrate(connection, (FIRST, SECOND))
    migrate(connection, (FIRST,))
    assert colours(connection) == ["red", "blue"]


def test_a_database_that_needs_a_newer_release_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection, (FIRST, Migration(3, (), needs=3)))
    with pytest.raises(NewerIndexError, match="it needs migration 3; this one knows 2"):
        migrate(connection, (FIRST,))


def test_the_numbers_are_in_order() -> None:
    assert [each.number for each in MIGRATIONS] == list(range(2, 2 + len(MIGRATIONS)))
