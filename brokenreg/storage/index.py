"""The index of manifests, tags, blob links, upload sessions and recipes, on disk and in memory.

Each change is committed to disk first and then applied to memory. Reads use memory, except for manifest
bytes and recipes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from cachetools import FIFOCache

from brokenreg.oci.digests import Digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.storage.database import Database, advice
from brokenreg.storage.errors import StorageError, StorageFullError
from brokenreg.storage.recipes import Recipes
from brokenreg.storage.records import Manifest, Records, RepositoryKey, UploadRow, is_cache
from brokenreg.storage.sql import (
    UNLINK,
    UNLINK_UNUSED,
    forget_sizes,
    note_push,
    one_statement,
    read_body,
    remove_manifest,
)

BODIES = 16 * 1024 * 1024
"""Maximum memory for the bytes of recent manifests. One has at most `MAX_MANIFEST`."""

_UNLINKED = 256
"""Maximum number of links that are deleted in one transaction."""


class Index(Records):
    """The index of a data folder. Create it with `await Index.open(path)`. Call `close` when done."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        # Faster to read than an LRUCache, which records the order of reads.
        self._bodies: FIFOCache[Digest, bytes] = FIFOCache(BODIES, getsizeof=len)
        self.recipes = Recipes(database)
        self.uploads: dict[str, UploadRow] = {}

    @classmethod
    async def open(cls, path: Path) -> Index:
        """Open or create the index file, and load it. Raise `StorageError`."""
        database = Database(path)
        await database.open()
        index = cls(database)
        try:
            await database.run(index._load)
            with contextlib.suppress(StorageFullError):  # it can be done at a later start
                await database.run(forget_sizes)
        except (sqlite3.Error, StorageError, ValueError) as error:
            await database.close()
            problem = str(error.__cause__ or error).partition("\n")[0]
            raise StorageError(f"cannot read the index {path}: {problem}; {advice(error)}") from None
        return index

    async def close(self) -> None:
        await self._database.close()

    def recent_manifest_body(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest if they are in memory."""
        return self._bodies.get(digest)

    async def manifest_body(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest, or None if it has been deleted."""
        body = self._bodies.get(digest)
        if body is None:
            body = await self._database.run(lambda connection: read_body(connection, digest))
            if body is not None:
                self._bodies[digest] = body
        return body

    async def put_manifest(
        self, key: RepositoryKey, manifest: Manifest, body: bytes, tags: Iterable[str]
    ) -> None:
        """Store a manifest, and point the tags at it in the same transaction."""
        tags = tuple(tags)
        now = time.time()

        def work(connection: sqlite3.Connection) -> None:
            note_push(connection, key)
            facts = manifest.facts.model_dump_json()
            connection.execute("INSERT OR IGNORE INTO manifest_bodies VALUES (?, ?)", (manifest.digest, body))
            connection.execute(
                "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, manifest.digest, manifest.media_type, manifest.size, facts, now),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)",
                [(*key, tag, manifest.digest) for tag in tags],
            )

        def apply(_: None) -> None:
            self._bodies[manifest.digest] = body
            self._note_push(key)
            self._add_manifest(key, manifest, now)
            self.repositories[key].tags.point(tags, manifest.digest)

        await self._database.run(work, apply)

    async def delete_manifest(
        self, key: RepositoryKey, digest: Digest, *, stored_before: float | None = None
    ) -> bool:
        """Delete a manifest and the tags that point to it. Return False if it is missing.

        With `stored_before` (seconds since the epoch), delete it only if it was not stored or tagged later.
        The transaction checks this, because a push may be queued before it. The links of the blobs that the
        manifest mentions get the current time, so that they become garbage a day after the last manifest.
        """
        now = time.time()

        def work(connection: sqlite3.Connection) -> tuple[list[Digest], list[str]] | None:
            return remove_manifest(connection, key, digest, now, stored_before)

        def apply(found: tuple[list[Digest], list[str]] | None) -> None:
            if found is not None:
                linked, tags = found
                links = self.repositories[key].links
                links.update({name: max(links[name], now) for name in linked})
                self._remove_manifest(key, digest, tags)

        return await self._database.run(work, apply) is not None

    async def delete_tag(self, key: RepositoryKey, tag: str) -> bool:
        """Delete a tag, but not its manifest. Return False if it is missing."""
        delete = one_statement(
            "DELETE FROM tags WHERE namespace = ? AND repository = ? AND tag = ?", (*key, tag)
        )

        def apply(count: int) -> None:
            if count:
                self.repositories[key].tags.drop((tag,))
                self._note_change(key)

        return bool(await self._database.run(delete, apply))

    async def link_blob(
        self,
        key: RepositoryKey,
        digest: Digest,
        when: float,
        *,
        upload_id: str | None = None,
        size: int | None = None,
    ) -> None:
        """Link a repository to a blob, and end its upload session in the same transaction.

        `size` is in bytes, and known only for a blob that was just received.
        """

        def work(connection: sqlite3.Connection) -> None:
            if size is not None:
                connection.execute("INSERT OR REPLACE INTO blob_sizes VALUES (?, ?)", (digest, size))
            note_push(connection, key)
            connection.execute("INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?)", (*key, digest, when))
            connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))

        def apply(_: None) -> None:
            self._note_push(key)
            self._add_link(key, digest, when)
            if size is not None:
                self._sizes[digest] = size
            if upload_id is not None:
                self.uploads.pop(upload_id, None)

        await self._database.run(work, apply)

    async def unlink_blobs(
        self, key: RepositoryKey, digests: Iterable[Digest], *, unused_since: float | None = None
    ) -> int:
        """Delete a repository's links to blobs, and return their number.

        With `unused_since` (seconds since the epoch), delete only those that are older and that no manifest
        mentions. The transaction checks this, because a push may be queued before it.
        """
        links = [(key, digest) for digest in digests]
        if unused_since is None:
            return await self._unlink(links, UNLINK)
        return await self._unlink(links, UNLINK_UNUSED, unused_since)

    async def unlink_cached(self, digests: Collection[Digest]) -> None:
        """Delete the links of all cached repositories to these blobs."""
        wanted = set(digests)
        links = [
            (key, digest)
            for key, repository in self.repositories.items()
            if is_cache(key)
            for digest in repository.links.keys() & wanted
        ]
        await self._unlink(links, UNLINK)

    async def _unlink(self, links: list[tuple[RepositoryKey, Digest]], statement: str, *more: float) -> int:
        """Delete the links that the statement matches, and return their number.

        Delete a few at a time, so that neither the event loop nor pushes wait for all of them.
        """
        count = 0
        for start in range(0, len(links), _UNLINKED):
            count += await self._unlink_few(links[start : start + _UNLINKED], statement, *more)
        return count

    async def _unlink_few(
        self, links: list[tuple[RepositoryKey, Digest]], statement: str, *more: float
    ) -> int:
        def work(connection: sqlite3.Connection) -> list[tuple[RepositoryKey, Digest]]:
            return [
                (key, digest)
                for key, digest in links
                if connection.execute(statement, (*key, digest, *more)).rowcount
            ]

        def apply(removed: list[tuple[RepositoryKey, Digest]]) -> None:
            for key, digest in removed:
                self._remove_link(key, digest)

        return len(await self._database.run(work, apply))

    def touch_link(self, key: RepositoryKey, digest: Digest, when: float) -> None:
        """Note that a client has requested a blob: it may be about to push a manifest that mentions it.

        The time is only in memory. After a restart, the blob may be removed a day earlier.
        """
        self.repositories[key].links[digest] = when

    def touch_manifest(self, key: RepositoryKey, digest: Digest, when: float) -> None:
        """Note that a manifest was requested. The time is only in memory."""
        self.repositories[key].requested[digest] = when

    async def correct_times(self, key: RepositoryKey, now: float) -> None:
        """Set the times of links, manifests and requests that are later than `now` to `now`."""

        def work(connection: sqlite3.Connection) -> None:
            for table, column in (("links", "linked"), ("manifests", "stored")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? "  # noqa: S608 - the names are ours
                    f"WHERE namespace = ? AND repository = ? AND {column} > ?",
                    (now, *key, now),
                )

        def apply(_: None) -> None:
            repository = self.repositories.get(key)
            for times in (repository.links, repository.requested) if repository else ():
                times.update({digest: now for digest, when in times.items() if when > now})

        await self._database.run(work, apply)

    def touch_upload(self, upload_id: str) -> None:
        """Mark an upload session as just used. The least recently used is the first in `uploads`."""
        self.uploads[upload_id] = self.uploads.pop(upload_id)

    async def open_upload(self, row: UploadRow) -> None:
        """Store an upload session."""
        insert = one_statement("INSERT INTO uploads VALUES (?, ?, ?, ?)", (row.id, *row.key, row.algorithm))
        await self._database.run(insert, lambda _: self.uploads.update({row.id: row}))

    async def close_uploads(self, upload_ids: Iterable[str]) -> None:
        """Delete upload sessions."""
        rows = [(upload_id,) for upload_id in upload_ids]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM uploads WHERE id = ?", rows)

        def apply(_: None) -> None:
            for (upload_id,) in rows:
                self.uploads.pop(upload_id, None)

        await self._database.run(work, apply)

    def _load(self, connection: sqlite3.Connection) -> None:
        for namespace, repository, digest, media_type, size, facts, stored in connection.execute(
            "SELECT * FROM manifests"
        ):
            manifest = Manifest(Digest(digest), media_type, size, ManifestFacts.stored(facts))
            self._add_manifest((namespace, repository), manifest, stored)
        for namespace, repository, tag, digest in connection.execute("SELECT * FROM tags"):
            self._repository((namespace, repository)).tags.point((tag,), Digest(digest))
        for namespace, repository, digest, linked in connection.execute("SELECT * FROM links"):
            self._add_link((namespace, repository), Digest(digest), linked)
        for digest, size in connection.execute("SELECT * FROM blob_sizes"):
            if digest in self._linked:
                self._sizes[Digest(digest)] = size
        for key in connection.execute("SELECT namespace, repository FROM pushed ORDER BY number"):
            self._note_push(key)
        for upload_id, namespace, repository, algorithm in connection.execute("SELECT * FROM uploads"):
            self.uploads[upload_id] = UploadRow(upload_id, (namespace, repository), algorithm)
