"""The jobs of the index: each reads, or writes in a transaction and returns what it changed.

The statements are written in SQL that all databases understand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.changes import (
    BlobLinked,
    BlobsUnlinked,
    Changes,
    LinkTouched,
    ManifestDeleted,
    ManifestPut,
    ObjectsForgotten,
    ObjectStored,
    TagDeleted,
    TimesCorrected,
    UploadOpened,
    UploadsClosed,
)
from brokenreg.storage.database import Connection, Cursor
from brokenreg.storage.errors import OtherPlaceError
from brokenreg.storage.records import MOST_NAMES, RepositoryKey, StoredObject, UploadRow, is_cache

_IS_LINK = "namespace = ? AND repository = ? AND digest = ?"
_UNLINK = f"DELETE FROM links WHERE {_IS_LINK}"
# A digest occurs in no other text of the facts.
_UNLINK_UNUSED = f"""
{_UNLINK} AND linked < ? AND NOT EXISTS (
    SELECT 1 FROM manifests
    WHERE namespace = links.namespace AND repository = links.repository AND instr(facts, links.digest) > 0
)
"""
_DELETE_UNUSED_BODY = """
DELETE FROM manifest_bodies
WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = manifest_bodies.digest)
"""
_PUT_MANIFEST = """
INSERT INTO manifests (namespace, repository, digest, media_type, size, facts, stored)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, repository, digest) DO UPDATE
SET media_type = excluded.media_type, size = excluded.size, facts = excluded.facts, stored = excluded.stored
"""
_PUT_BODY = "INSERT INTO manifest_bodies (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
_PUT_TAG = """
INSERT INTO tags (namespace, repository, tag, digest) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace, repository, tag) DO UPDATE SET digest = excluded.digest
"""
_PUT_LINK = """
INSERT INTO links (namespace, repository, digest, linked) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace, repository, digest) DO UPDATE SET linked = excluded.linked
"""
_PUT_SIZE = """
INSERT INTO blob_sizes (digest, size) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET size = excluded.size
"""
_PUT_NAME = """
INSERT INTO pushed (number, namespace, repository)
SELECT newest.number + 1, CAST(? AS TEXT), CAST(? AS TEXT)
FROM (SELECT coalesce(max(number), 0) AS number FROM pushed) AS newest
WHERE NOT EXISTS (SELECT 1 FROM pushed WHERE namespace = ? AND repository = ?)
"""
_DELETE_OLD_NAMES = "DELETE FROM pushed WHERE number <= (SELECT max(number) FROM pushed) - ?"
_ANY_PLACE = "SELECT place FROM objects LIMIT 1"  # all are in the same place
_SELECT_OBJECT = "SELECT key, size, stored, problem FROM objects WHERE digest = ?"
_PUT_OBJECT = """
INSERT INTO objects (digest, place, key, size, stored, problem) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE
SET place = excluded.place, key = excluded.key, size = excluded.size, stored = excluded.stored,
    problem = excluded.problem
"""


def read_body(connection: Connection, digest: Digest) -> bytes | None:
    """Return the bytes of a manifest, or None."""
    row = connection.execute("SELECT body FROM manifest_bodies WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else bytes(row[0])


def put_manifest(connection: Connection, put: ManifestPut, body: bytes, *, is_named: bool = False) -> Changes:
    """Store a manifest and its bytes, and point the tags at it.

    `is_named` says that the database already has the name of the repository.
    """
    key, manifest = put.key, put.manifest
    if not is_named:
        note_push(connection, key)
    facts = manifest.facts.model_dump_json()
    connection.execute(_PUT_BODY, (manifest.digest, body))
    connection.execute(
        _PUT_MANIFEST, (*key, manifest.digest, manifest.media_type, manifest.size, facts, put.stored)
    )
    for tag in put.tags:
        connection.execute(_PUT_TAG, (*key, tag, manifest.digest))
    return (put,)


def delete_manifest(
    connection: Connection,
    key: RepositoryKey,
    digest: Digest,
    now: float,
    stored_before: float | None,
) -> Changes:
    """Delete a manifest and its tags, and set the link times of the blobs that it mentions to `now`.

    Change nothing if the manifest is missing or was not stored before `stored_before`.
    """
    where = (*key, digest)
    row = connection.execute(f"SELECT facts, stored FROM manifests WHERE {_IS_LINK}", where).fetchone()
    if row is None or (stored_before is not None and row[1] >= stored_before):
        return ()
    connection.execute(f"DELETE FROM manifests WHERE {_IS_LINK}", where)
    names = map(Digest, ManifestFacts.model_validate_json(row[0]).names)
    touch = f"UPDATE links SET linked = CASE WHEN linked < ? THEN ? ELSE linked END WHERE {_IS_LINK}"
    mentioned = tuple(name for name in names if connection.execute(touch, (now, now, *key, name)).rowcount)
    tags = tuple(tag for (tag,) in connection.execute(f"SELECT tag FROM tags WHERE {_IS_LINK}", where))
    connection.execute(f"DELETE FROM tags WHERE {_IS_LINK}", where)
    connection.execute(_DELETE_UNUSED_BODY, (digest,))
    return (ManifestDeleted(key, digest, tags, mentioned, now),)


def delete_tag(connection: Connection, key: RepositoryKey, tag: str) -> Changes:
    """Delete a tag, but not its manifest."""
    delete = "DELETE FROM tags WHERE namespace = ? AND repository = ? AND tag = ?"
    return (TagDeleted(key, tag),) if connection.execute(delete, (*key, tag)).rowcount else ()


def link_blob(connection: Connection, link: BlobLinked, *, is_named: bool = False) -> Changes:
    """Link a repository to a blob, and end its upload session."""
    if link.size is not None:
        connection.execute(_PUT_SIZE, (link.digest, link.size))
    if not is_named:
        note_push(connection, link.key)
    connection.execute(_PUT_LINK, (*link.key, link.digest, link.linked))
    if link.upload_id is not None:
        connection.execute("DELETE FROM uploads WHERE id = ?", (link.upload_id,))
    return (link,)


def touch_link(connection: Connection, key: RepositoryKey, digest: Digest, when: float) -> Changes:
    """Set the time of a link to `when`, unless it is later or the link was deleted."""
    touched = connection.execute(
        f"UPDATE links SET linked = ? WHERE {_IS_LINK} AND linked < ?", (when, *key, digest, when)
    )
    return (LinkTouched(key, digest, when),) if touched.rowcount else ()


def unlink_blobs(
    connection: Connection, links: Iterable[tuple[RepositoryKey, Digest]], unused_since: float | None = None
) -> Changes:
    """Delete links to blobs: with `unused_since`, only those that are older and that no manifest mentions."""
    statement, more = (_UNLINK, ()) if unused_since is None else (_UNLINK_UNUSED, (unused_since,))
    removed = [
        (key, digest)
        for key, digest in links
        if connection.execute(statement, (*key, digest, *more)).rowcount
    ]
    return (BlobsUnlinked(tuple(removed)),) if removed else ()


def correct_times(connection: Connection, key: RepositoryKey, now: float) -> Changes:
    """Set the times of a repository's links and manifests that are later than `now` to `now`."""
    for table, column in (("links", "linked"), ("manifests", "stored")):
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE namespace = ? AND repository = ? AND {column} > ?",
            (now, *key, now),
        )
    return (TimesCorrected(key, now),)


def link_object(connection: Connection, link: BlobLinked, new: StoredObject | None, place: str) -> Changes:
    """Link a repository to a blob that has an object, or else to `new`. Change nothing without either.

    Raise `OtherPlaceError` if the objects of the index are not in `place`.
    """
    is_intact = _has_intact_object(connection, link.digest, place)
    if new is None:
        return link_blob(connection, link) if is_intact else ()
    stored = () if is_intact else _insert_object(connection, link.digest, new, place)
    return (*link_blob(connection, link), *stored)


def link_in_place(connection: Connection, link: BlobLinked, place: str, *, is_named: bool) -> Changes:
    """Link a repository to a blob. Raise `OtherPlaceError` if the objects of the index are not in `place`."""
    _check_place(connection, place)
    return link_blob(connection, link, is_named=is_named)


def put_object(connection: Connection, digest: Digest, new: StoredObject | None, place: str) -> Changes:
    """Store the object of a blob, unless it has an intact one. Raise `OtherPlaceError`."""
    if _has_intact_object(connection, digest, place) or new is None:
        return ()
    return _insert_object(connection, digest, new, place)


def condemn_object(connection: Connection, digest: Digest, key: str, problem: str, place: str) -> Changes:
    """Note why an object is not served, unless another one has replaced it. Raise `OtherPlaceError`."""
    _check_place(connection, place)
    row = connection.execute(_SELECT_OBJECT, (digest,)).fetchone()
    if row is None or row[0] != key:
        return ()
    connection.execute("UPDATE objects SET problem = ? WHERE digest = ?", (problem, digest))
    return (ObjectStored(digest, replace(StoredObject(*row), problem=problem)),)


def forget_objects(connection: Connection, digests: Sequence[Digest], before: float, place: str) -> Changes:
    """Delete the objects of blobs without links that were stored before `before`, all of them in `place`."""
    if _other_place(connection.execute(_ANY_PLACE), place) is not None:
        return ()
    marks = ", ".join("?" * len(digests))
    query = f"SELECT DISTINCT digest FROM links WHERE digest IN ({marks})"
    linked = {digest for (digest,) in connection.execute(query, tuple(digests))}
    forgotten = []
    for digest in digests:
        row = connection.execute(_SELECT_OBJECT, (digest,)).fetchone()
        if digest not in linked and row is not None and row[2] < before:
            connection.execute("DELETE FROM objects WHERE digest = ?", (digest,))
            forgotten.append((digest, str(row[0])))
    return (ObjectsForgotten(tuple(forgotten)),) if forgotten else ()


def open_upload(connection: Connection, row: UploadRow) -> Changes:
    """Store an upload session."""
    insert = "INSERT INTO uploads (id, namespace, repository, algorithm) VALUES (?, ?, ?, ?)"
    connection.execute(insert, (row.id, *row.key, row.algorithm))
    return (UploadOpened(row),)


def close_uploads(connection: Connection, upload_ids: Collection[str]) -> Changes:
    """Delete upload sessions."""
    for upload_id in upload_ids:
        connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return (UploadsClosed(tuple(upload_ids)),)


def forget_sizes(connection: Connection) -> Changes:
    """Delete the sizes of blobs that no repository has a link to."""
    connection.execute("DELETE FROM blob_sizes WHERE digest NOT IN (SELECT digest FROM links)")
    return ()


def note_push(connection: Connection, key: RepositoryKey) -> None:
    """Remember the name of a repository that was pushed to, up to `MOST_NAMES`."""
    if not is_cache(key):
        connection.execute(_PUT_NAME, (*key, *key))
        connection.execute(_DELETE_OLD_NAMES, (MOST_NAMES,))


def _check_place(connection: Connection, place: str) -> None:
    """Check the place within the transaction: processes that started together have not seen each other."""
    other = _other_place(connection.execute(_ANY_PLACE), place)
    if other is not None:
        raise OtherPlaceError(place, other)


def _other_place(found: Cursor, place: str) -> str | None:
    """Return where the objects are, or None if that is `place` or there are none."""
    row = found.fetchone()
    return None if row is None or row[0] == place else str(row[0])


def _has_intact_object(connection: Connection, digest: Digest, place: str) -> bool:
    """Return whether a blob has an intact object. Raise `OtherPlaceError`."""
    # Both are executed before the first result is used, which takes one round trip.
    found, stored = connection.execute(_ANY_PLACE), connection.execute(_SELECT_OBJECT, (digest,))
    other = _other_place(found, place)
    if other is not None:
        raise OtherPlaceError(place, other)
    row = stored.fetchone()
    return row is not None and not row[3]


def _insert_object(connection: Connection, digest: Digest, new: StoredObject, place: str) -> Changes:
    connection.execute(_PUT_OBJECT, (digest, place, new.key, new.size, new.stored, new.problem))
    return (ObjectStored(digest, new),)
