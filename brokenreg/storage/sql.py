"""The SQL of the index: its tables, their version (`PRAGMA user_version`), and long statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.errors import NewerIndexError
from brokenreg.storage.records import MOST_NAMES, RepositoryKey, is_cache

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

# Older versions of brokenreg can open a file with these tables, so the schema version stays the same.
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
    """Create missing tables and columns. Raise `NewerIndexError` if the file is from a newer brokenreg."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerIndexError(
            f"the index was written by a newer brokenreg (version {version}; this one supports {VERSION}); "
            "upgrade brokenreg, or use --data DIR with another folder"
        )
    if version == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version == 1:  # version 1 did not record the times of manifests
        connection.executescript(f"BEGIN; {_FROM_1} PRAGMA user_version = {VERSION}; COMMIT;")
    connection.executescript(_ADDITIONS)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pushed'").fetchone():
        connection.executescript(f"BEGIN; {_PUSHED} COMMIT;")


UNLINK = "DELETE FROM links WHERE namespace = ? AND repository = ? AND digest = ?"
UNLINK_UNUSED = f"""
{UNLINK} AND linked < ? AND NOT EXISTS (
    SELECT 1 FROM manifests
    WHERE namespace = links.namespace AND repository = links.repository AND instr(facts, links.digest)
)
"""  # noqa: S608 - our own parts; a digest occurs in no other text of the facts
_SELECT_FACTS = "SELECT facts FROM manifests WHERE namespace = ? AND repository = ? AND digest = ?"
_DELETE_MANIFEST = "DELETE FROM manifests WHERE namespace = ? AND repository = ? AND digest = ?"
_DELETE_OLD_MANIFEST = f"{_DELETE_MANIFEST} AND stored < ?"
_DELETE_UNUSED_BODY = (
    "DELETE FROM manifest_bodies WHERE digest = ? "
    "AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = manifest_bodies.digest)"
)
_TOUCH_LINK = "UPDATE links SET linked = max(linked, ?) WHERE namespace = ? AND repository = ? AND digest = ?"
_TAGS_OF = "FROM tags WHERE namespace = ? AND repository = ? AND digest = ?"


def one_statement(sql: str, parameters: tuple[object, ...]) -> Callable[[sqlite3.Connection], int]:
    """Return a job that runs one statement and returns the number of changed rows."""
    return lambda connection: connection.execute(sql, parameters).rowcount


def note_push(connection: sqlite3.Connection, key: RepositoryKey) -> None:
    """Remember the name of a repository that was pushed to, up to `MOST_NAMES`."""
    if is_cache(key):
        return
    insert = "INSERT OR IGNORE INTO pushed (namespace, repository) VALUES (?, ?)"
    if connection.execute(insert, key).rowcount:
        connection.execute(
            "DELETE FROM pushed WHERE number <= (SELECT max(number) FROM pushed) - ?", (MOST_NAMES,)
        )


def read_body(connection: sqlite3.Connection, digest: Digest) -> bytes | None:
    """Return the bytes of a manifest, or None."""
    row = connection.execute("SELECT body FROM manifest_bodies WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else bytes(row[0])


def remove_manifest(
    connection: sqlite3.Connection,
    key: RepositoryKey,
    digest: Digest,
    now: float,
    stored_before: float | None = None,
) -> tuple[list[Digest], list[str]] | None:
    """Delete a manifest and its tags, and set the link times of the blobs that it mentions to `now`.

    Return these blobs and tags, or None if the manifest is missing or was not stored before `stored_before`.
    """
    facts = connection.execute(_SELECT_FACTS, (*key, digest)).fetchone()
    if stored_before is None:
        deleted = connection.execute(_DELETE_MANIFEST, (*key, digest))
    else:
        deleted = connection.execute(_DELETE_OLD_MANIFEST, (*key, digest, stored_before))
    if not deleted.rowcount:
        return None
    mentioned = map(Digest, ManifestFacts.model_validate_json(facts[0]).names)
    linked = [name for name in mentioned if connection.execute(_TOUCH_LINK, (now, *key, name)).rowcount]
    tags = [tag for (tag,) in connection.execute(f"SELECT tag {_TAGS_OF}", (*key, digest))]
    connection.execute(f"DELETE {_TAGS_OF}", (*key, digest))
    connection.execute(_DELETE_UNUSED_BODY, (digest,))
    return linked, tags


def forget_sizes(connection: sqlite3.Connection) -> None:
    """Delete the sizes of blobs that no repository has a link to."""
    connection.execute("DELETE FROM blob_sizes WHERE digest NOT IN (SELECT digest FROM links)")
