"""The tables in PostgreSQL before numbered migrations.

Text is compared by bytes (collation C), as in SQLite and in Python. The functions complete what SQLite has.
"""

from __future__ import annotations

from brokenreg.storage.database.connection import Connection
from brokenreg.storage.database.migrations import migrate

_KEY = 'namespace TEXT COLLATE "C" NOT NULL, repository TEXT COLLATE "C" NOT NULL'

TABLES = (
    f"""
    CREATE TABLE manifests (
        {_KEY}, digest TEXT COLLATE "C" NOT NULL,
        media_type TEXT NOT NULL, size BIGINT NOT NULL,
        facts TEXT NOT NULL,                            -- ManifestFacts as JSON
        stored DOUBLE PRECISION NOT NULL,               -- seconds since the epoch
        PRIMARY KEY (namespace, repository, digest)
    )
    """,
    "CREATE INDEX manifests_of_digest ON manifests (digest)",
    'CREATE TABLE manifest_bodies (digest TEXT COLLATE "C" PRIMARY KEY, body BYTEA NOT NULL)',
    f"""
    CREATE TABLE tags (
        {_KEY}, tag TEXT COLLATE "C" NOT NULL, digest TEXT COLLATE "C" NOT NULL,
        PRIMARY KEY (namespace, repository, tag)
    )
    """,
    f"""
    CREATE TABLE links (                                -- which repository may serve which blob
        {_KEY}, digest TEXT COLLATE "C" NOT NULL,
        linked DOUBLE PRECISION NOT NULL,               -- seconds since the epoch
        PRIMARY KEY (namespace, repository, digest)
    )
    """,
    'CREATE TABLE blob_sizes (digest TEXT COLLATE "C" PRIMARY KEY, size BIGINT NOT NULL)',
    f"""
    CREATE TABLE uploads (                              -- each id begins with the name of its replica
        id TEXT COLLATE "C" PRIMARY KEY, {_KEY}, algorithm TEXT NOT NULL,
        opened TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    f"CREATE TABLE pushed (number BIGINT PRIMARY KEY, {_KEY}, UNIQUE (namespace, repository))",
    """
    CREATE FUNCTION recipe_member(value TEXT, name TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN value::json ->> name;
    EXCEPTION WHEN OTHERS THEN  -- it is not JSON
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION recipe_size(value TEXT) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN (value::json ->> 'size')::BIGINT;
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END $$
    """,
    """
    CREATE TABLE recipes (
        key TEXT COLLATE "C" PRIMARY KEY, value TEXT NOT NULL,
        digest TEXT COLLATE "C" GENERATED ALWAYS AS
            (coalesce(recipe_member(value, 'digest'), recipe_member(value, 'manifest'))) STORED,
        config TEXT COLLATE "C" GENERATED ALWAYS AS (recipe_member(value, 'config')) STORED,
        size BIGINT GENERATED ALWAYS AS (recipe_size(value)) STORED
    )
    """,
    "CREATE INDEX recipes_of_digest ON recipes (digest)",
    "CREATE INDEX recipes_of_config ON recipes (config)",
    "CREATE INDEX recipes_of_size ON recipes (size NULLS FIRST, key DESC)",
    """
    CREATE FUNCTION instr(content TEXT, part TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE
    AS 'SELECT strpos(content, part)'
    """,
    # What was committed, in order. The number of the newest change is also the lock of all who write.
    "CREATE TABLE clock (single BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (single), number BIGINT NOT NULL)",
    "INSERT INTO clock (number) VALUES (0)",
    """
    CREATE TABLE changes (
        number BIGINT PRIMARY KEY,
        batch TEXT NOT NULL,                            -- the transaction: its replica and a random number
        body TEXT NOT NULL,                             -- a change as JSON
        stored TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX changes_by_age ON changes (stored)",
)

_LOCK = 0x62726F6B656E  # an arbitrary number, which is ours in any database


def prepare_schema(connection: Connection) -> None:
    """Create missing tables, in one transaction. Raise `NewerIndexError` if they are too new.

    Other processes that start at the same time wait.
    """
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
    (found,) = connection.execute("SELECT to_regclass('clock') IS NOT NULL").fetchone()
    if not found:
        for statement in TABLES:
            connection.execute(statement)
    migrate(connection)
    connection.execute("COMMIT")
