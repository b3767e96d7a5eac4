"""The tables of the index, and their version (`PRAGMA user_version`)."""

from __future__ import annotations

import sqlite3

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

_VALUE = "CASE WHEN json_valid(value) THEN json_extract(value, '$.{0}') END"
RECIPE_DIGEST = f"coalesce({_VALUE.format('digest')}, {_VALUE.format('manifest')})"
RECIPE_CONFIG = _VALUE.format("config")
RECIPE_SIZE = _VALUE.format("size")

# Older versions can open a file with these tables, so the schema version stays the same.
_ADDITIONS = f"""
CREATE TABLE IF NOT EXISTS blob_sizes (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recipes_by_digest ON recipes ({RECIPE_DIGEST});
CREATE INDEX IF NOT EXISTS recipes_by_config ON recipes ({RECIPE_CONFIG});
CREATE INDEX IF NOT EXISTS recipes_by_size ON recipes ({RECIPE_SIZE}, key DESC);
"""

# Names that were ever pushed to, in order. Files of older versions do not have this table at first.
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

_FROM_1 = "ALTER TABLE manifests ADD COLUMN stored REAL NOT NULL DEFAULT 0;"


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Make the tables in a new file. Raise `NewerIndexError` if the file is from a newer brokenreg."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerIndexError(
            f"the index was written by a newer brokenreg (version {version}, this one knows {VERSION}); "
            "upgrade, or pass --data DIR with another folder"
        )
    if version == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version == 1:  # which did not say when a manifest came
        connection.executescript(f"BEGIN; {_FROM_1} PRAGMA user_version = {VERSION}; COMMIT;")
    connection.executescript(_ADDITIONS)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pushed'").fetchone():
        connection.executescript(f"BEGIN; {_PUSHED} COMMIT;")
