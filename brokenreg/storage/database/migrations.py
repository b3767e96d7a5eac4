"""The numbered migrations of the tables, in SQL that all databases understand.

Number 1 is what each kind of database creates in its own SQL. To change the tables, append a migration with
the next number. Use the types TEXT, BIGINT and DOUBLE PRECISION. A migration should only add: then the
release before can still use the database, which a rolling upgrade and a rollback need.
"""

from __future__ import annotations

from dataclasses import dataclass

from brokenreg.storage.database.connection import Connection
from brokenreg.storage.errors import NewerIndexError


@dataclass(frozen=True, slots=True)
class Migration:
    """Statements that are run once, in one transaction."""

    number: int
    statements: tuple[str, ...]
    needs: int = 1
    """The number of the newest migration that a brokenreg must know to use the database afterwards."""


_OBJECTS = """
CREATE TABLE objects (
    digest TEXT PRIMARY KEY, place TEXT NOT NULL, key TEXT NOT NULL, size BIGINT NOT NULL,
    stored DOUBLE PRECISION NOT NULL,
    problem TEXT NOT NULL
)
"""

_STATES = "CREATE TABLE shared_states (name TEXT PRIMARY KEY, revision BIGINT NOT NULL, body TEXT NOT NULL)"
_REPLICAS = """
CREATE TABLE replicas (name TEXT PRIMARY KEY, address TEXT NOT NULL, host TEXT NOT NULL, beat BIGINT NOT NULL)
"""
_COUNTS = """
CREATE TABLE rule_counts (
    rule TEXT NOT NULL, key TEXT NOT NULL,
    matched BIGINT NOT NULL, applied BIGINT NOT NULL,
    is_applied BIGINT NOT NULL,
    used DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (rule, key)
)
"""

_IMPORTS = "CREATE TABLE imports (source TEXT PRIMARY KEY, finished DOUBLE PRECISION NOT NULL)"
_LEASES = "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, beat BIGINT NOT NULL)"

MIGRATIONS = (
    Migration(2, (_OBJECTS,)),
    Migration(3, (_STATES, _REPLICAS, _COUNTS)),
    Migration(4, (_IMPORTS,)),
    Migration(5, (_LEASES,)),
)
"""2: where the blobs are that are in an object store, and why one of them is not served.
3: documents and counts that several brokenregs share, and where these are.
4: data folders whose content was copied into the index.
5: which process does what only one of them does.
"""

_TABLE = "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, needs BIGINT NOT NULL)"


def migrate(connection: Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Run the migrations that the database does not have. Raise `NewerIndexError` if it is too new.

    The caller has begun a transaction that excludes other processes, and commits it.
    """
    connection.execute(_TABLE)
    done, needs = connection.execute(
        "SELECT coalesce(max(number), 1), coalesce(max(needs), 1) FROM migrations"
    ).fetchone()
    known = migrations[-1].number if migrations else 1
    if needs > known:
        raise NewerIndexError(
            f"the index was migrated by a newer brokenreg (it needs migration {needs}; this one knows "
            f"{known}); upgrade brokenreg, or use another database"
        )
    for migration in migrations:
        if migration.number > done:
            for statement in migration.statements:
                connection.execute(statement)
            insert = "INSERT INTO migrations (number, needs) VALUES (?, ?)"
            connection.execute(insert, (migration.number, migration.needs))
