"""The tables of an index file before numbered migrations, and its version (`PRAGMA user_version`).

Versions of brokenreg from before the numbered migrations open files up to `VERSION`.
"""

from __future__ import annotations

import sqlite3

from brokenreg.storage.database.migrations import migrate
from brokenreg.storage.errors import NewerIndexError

VERSION = 2

_TABLES = """
CREATE TABLE manifests (
    namespace TEXT NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL,
    media_type TEXT NOT NULL, size INTEGER NOT NULL,
    facts TEXT NOT NULL,                                -- ManifestFacts as JSON
    stored REAL NOT NULL,                               -- seconds since the epoch
    PRIMARY KEY (namespace, repository, digest)
) WITHOUT ROWID;
CREATE TABLE manifest_bodies (digest TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE tags (
    namespace TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (namespace, repository, tag)
) WITHOUT ROWID;
CREATE TABLE links (                                    -- which repository may serve which blob
    namespace TEXT NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL,
    linked REAL NOT NULL,                               -- seconds since the epoch
    PRIMARY KEY (namespace, repository, digest)
) WITHOUT ROWID;
CREATE TABLE uploads (
    id TEXT PRIMARY KEY, namespace TEXT NOT NULL, repository TEXT NOT NULL, algorithm TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_FROM_1 = "ALTER TABLE manifests ADD COLUMN stored REAL NOT NULL DEFAULT 0;"

# Older versions of brokenreg can use a file with these additions, so its version stays the same.
_SIZES = (
    "CREATE TABLE IF NOT EXISTS blob_sizes (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;"
)

# Names that were ever pushed to, in order.
_PUSHED = """
CREATE TABLE pushed (
    number INTEGER PRIMARY KEY, namespace TEXT NOT NULL, repository TEXT NOT NULL,
    UNIQUE (namespace, repository)
);
INSERT INTO pushed (namespace, repository)
    SELECT namespace, repository FROM manifests WHERE namespace NOT LIKE '@%'
    UNION SELECT namespace, repository FROM tags WHERE namespace NOT LIKE '@%'
    UNION SELECT namespace, repository FROM links WHERE namespace NOT LIKE '@%';
"""

_MEMBER = "CASE WHEN json_valid(value) THEN json_extract(value, '$.{0}') END"
_DIGEST = f"coalesce({_MEMBER.format('digest')}, {_MEMBER.format('manifest')})"

# Virtual columns take no space, and older versions still insert rows of two values.
_RECIPE_COLUMNS = f"""
ALTER TABLE recipes ADD COLUMN digest TEXT GENERATED ALWAYS AS ({_DIGEST}) VIRTUAL;
ALTER TABLE recipes ADD COLUMN config TEXT GENERATED ALWAYS AS ({_MEMBER.format("config")}) VIRTUAL;
ALTER TABLE recipes ADD COLUMN size BIGINT GENERATED ALWAYS AS ({_MEMBER.format("size")}) VIRTUAL;
DROP INDEX IF EXISTS recipes_by_digest;
DROP INDEX IF EXISTS recipes_by_config;
DROP INDEX IF EXISTS recipes_by_size;
CREATE INDEX recipes_of_digest ON recipes (digest);
CREATE INDEX recipes_of_config ON recipes (config);
CREATE INDEX recipes_of_size ON recipes (size, key DESC);
"""


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Create missing tables and columns. Raise `NewerIndexError` if the file is from a newer brokenreg."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerIndexError(
            f"the index was written by a newer brokenreg (version {version}; this one supports {VERSION}); "
            "upgrade brokenreg, or use --data DIR with another folder"
        )
    if version == 0:
        _run(connection, f"{_TABLES} PRAGMA user_version = {VERSION};")
    elif version == 1:  # version 1 did not record the times of manifests
        _run(connection, f"{_FROM_1} PRAGMA user_version = {VERSION};")
    _run(connection, _SIZES)
    if not _has(connection, "SELECT 1 FROM sqlite_master WHERE name = 'pushed'"):
        _run(connection, _PUSHED)
    if not _has(connection, "SELECT 1 FROM pragma_table_xinfo('recipes') WHERE name = 'digest'"):
        _run(connection, _RECIPE_COLUMNS)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection)


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Run statements in one transaction."""
    connection.executescript(f"BEGIN; {statements} COMMIT;")


def _has(connection: sqlite3.Connection, query: str) -> bool:
    return connection.execute(query).fetchone() is not None
