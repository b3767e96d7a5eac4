"""The jobs of the index that concern objects: each runs in a transaction and returns what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from brokenreg.oci.digests import Digest
from brokenreg.storage.changes import BlobLinked, Changes, ObjectsForgotten, ObjectStored
from brokenreg.storage.database import Connection
from brokenreg.storage.errors import OtherPlaceError
from brokenreg.storage.records import StoredObject
from brokenreg.storage.statements import link_blob

_ANY_PLACE = "SELECT place FROM objects LIMIT 1"  # all are in the same place
_SELECT = "SELECT key, size, stored, problem FROM objects WHERE digest = ?"
_PUT = """
INSERT INTO objects (digest, place, key, size, stored, problem) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE
SET place = excluded.place, key = excluded.key, size = excluded.size, stored = excluded.stored,
    problem = excluded.problem
"""


def link_object(connection: Connection, link: BlobLinked, new: StoredObject | None, place: str) -> Changes:
    """Link a repository to a blob that has an object, or else to `new`. Change nothing without either.

    Raise `OtherPlaceError` if the objects of the index are not in `place`.
    """
    stored = put_object(connection, link.digest, new, place)
    if not stored and not _is_intact(connection, link.digest):
        return ()
    return (*link_blob(connection, link), *stored)


def link_in_place(connection: Connection, link: BlobLinked, place: str) -> Changes:
    """Link a repository to a blob. Raise `OtherPlaceError` if the objects of the index are not in `place`."""
    _check_place(connection, place)
    return link_blob(connection, link)


def put_object(connection: Connection, digest: Digest, new: StoredObject | None, place: str) -> Changes:
    """Store the object of a blob, unless it has an intact one. Raise `OtherPlaceError`."""
    _check_place(connection, place)
    if new is None or _is_intact(connection, digest):
        return ()
    connection.execute(_PUT, (digest, place, new.key, new.size, new.stored, new.problem))
    return (ObjectStored(digest, new),)


def condemn_object(connection: Connection, digest: Digest, key: str, problem: str, place: str) -> Changes:
    """Note why an object is not served, unless another one has replaced it. Raise `OtherPlaceError`."""
    _check_place(connection, place)
    row = connection.execute(_SELECT, (digest,)).fetchone()
    if row is None or row[0] != key:
        return ()
    connection.execute("UPDATE objects SET problem = ? WHERE digest = ?", (problem, digest))
    return (ObjectStored(digest, replace(StoredObject(*row), problem=problem)),)


def forget_objects(connection: Connection, digests: Sequence[Digest], before: float, place: str) -> Changes:
    """Delete the objects of blobs without links that were stored before `before`, all of them in `place`."""
    if _other_place(connection, place) is not None:
        return ()
    marks = ", ".join("?" * len(digests))
    query = f"SELECT DISTINCT digest FROM links WHERE digest IN ({marks})"  # noqa: S608 - only marks
    linked = {digest for (digest,) in connection.execute(query, tuple(digests))}
    forgotten = []
    for digest in digests:
        row = connection.execute(_SELECT, (digest,)).fetchone()
        if digest not in linked and row is not None and row[2] < before:
            connection.execute("DELETE FROM objects WHERE digest = ?", (digest,))
            forgotten.append((digest, str(row[0])))
    return (ObjectsForgotten(tuple(forgotten)),) if forgotten else ()


def _check_place(connection: Connection, place: str) -> None:
    """Check the place within the transaction: processes that started together have not seen each other."""
    other = _other_place(connection, place)
    if other is not None:
        raise OtherPlaceError(place, other)


def _other_place(connection: Connection, place: str) -> str | None:
    """Return where the objects are, or None if that is `place` or there are none."""
    row = connection.execute(_ANY_PLACE).fetchone()
    return None if row is None or row[0] == place else str(row[0])


def _is_intact(connection: Connection, digest: Digest) -> bool:
    row = connection.execute(_SELECT, (digest,)).fetchone()
    return row is not None and not row[3]
