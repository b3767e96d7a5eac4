"""SQL of the index that is longer than one line."""

from __future__ import annotations

import sqlite3

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.database import Work
from brokenreg.storage.records import MOST_NAMES, RepositoryKey, is_cache

UNLINK = "DELETE FROM links WHERE namespace = ?1 AND repository = ?2 AND digest = ?3"
UNLINK_UNUSED = f"""
{UNLINK} AND linked < ?4 AND NOT EXISTS (
    SELECT 1 FROM manifests
    WHERE namespace = ?1 AND repository = ?2 AND instr(facts, ?3)
)
"""  # noqa: S608 - parts of our own; a digest stands in no other text than where it is meant
_SELECT_FACTS = "SELECT facts FROM manifests WHERE namespace = ? AND repository = ? AND digest = ?"
_DELETE_MANIFEST = "DELETE FROM manifests WHERE namespace = ?1 AND repository = ?2 AND digest = ?3"
_DELETE_OLD_MANIFEST = f"{_DELETE_MANIFEST} AND stored < ?4"
_DELETE_UNUSED_BODY = (
    "DELETE FROM manifest_bodies WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)"
)
_TOUCH_LINK = (
    "UPDATE links SET linked = max(linked, ?4) WHERE namespace = ?1 AND repository = ?2 AND digest = ?3"
)
_TAGS_OF = "FROM tags WHERE namespace = ? AND repository = ? AND digest = ?"


def one_statement(sql: str, parameters: tuple[object, ...]) -> Work:
    """A job that runs one statement and returns how many rows it changed."""
    return lambda connection: connection.execute(sql, parameters).rowcount


def note_push(connection: sqlite3.Connection, key: RepositoryKey) -> None:
    """Remember the newest names that were pushed to."""
    if is_cache(key):
        return
    insert = "INSERT OR IGNORE INTO pushed (namespace, repository) VALUES (?, ?)"
    if connection.execute(insert, key).rowcount:
        connection.execute(
            "DELETE FROM pushed WHERE number <= (SELECT max(number) FROM pushed) - ?", (MOST_NAMES,)
        )


def read_body(connection: sqlite3.Connection, digest: Digest) -> bytes | None:
    row = connection.execute("SELECT body FROM manifest_bodies WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else bytes(row[0])


def remove_manifest(
    connection: sqlite3.Connection,
    key: RepositoryKey,
    digest: Digest,
    now: float,
    stored_before: float | None = None,
) -> tuple[list[Digest], list[str]] | None:
    """Delete a manifest and its tags, and set the link time of the blobs that it mentions to now.

    Return these blobs and tags, or None if the manifest is missing or was not `stored_before`.
    """
    facts = connection.execute(_SELECT_FACTS, (*key, digest)).fetchone()
    if stored_before is None:
        deleted = connection.execute(_DELETE_MANIFEST, (*key, digest))
    else:
        deleted = connection.execute(_DELETE_OLD_MANIFEST, (*key, digest, stored_before))
    if not deleted.rowcount:
        return None
    mentioned = map(Digest, ManifestFacts.model_validate_json(facts[0]).names)
    linked = [name for name in mentioned if connection.execute(_TOUCH_LINK, (*key, name, now)).rowcount]
    tags = [tag for (tag,) in connection.execute(f"SELECT tag {_TAGS_OF}", (*key, digest))]
    connection.execute(f"DELETE {_TAGS_OF}", (*key, digest))
    connection.execute(_DELETE_UNUSED_BODY, (digest,))
    return linked, tags


def forget_sizes(connection: sqlite3.Connection) -> None:
    """Delete the sizes of blobs that no repository links to any more."""
    connection.execute("DELETE FROM blob_sizes WHERE digest NOT IN (SELECT digest FROM links)")
