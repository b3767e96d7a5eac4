"""The index of manifests, tags, blob links, upload sessions and recipes, in a database and in memory.

A job of `statements` commits a change to the database first. `IndexMemory.apply` then applies it to memory.
Reads use memory, except for manifest bytes and recipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from cachetools import FIFOCache

from brokenreg.oci.digests import Digest
from brokenreg.storage import statements
from brokenreg.storage.changes import BlobLinked, BlobsUnlinked, ManifestPut, ObjectsForgotten
from brokenreg.storage.database import Connection, Database, Engine
from brokenreg.storage.errors import DatabaseUnreachableError, OtherPlaceError, StorageError, StorageFullError
from brokenreg.storage.imports.import_table import ImportTable
from brokenreg.storage.index_memory import IndexMemory
from brokenreg.storage.recipes import Recipes
from brokenreg.storage.records import Manifest, RepositoryKey, StoredObject, UploadRow, is_cache
from brokenreg.storage.shared import shared_states
from brokenreg.storage.shared.counting import Counting
from brokenreg.storage.shared.leases import Leases
from brokenreg.storage.shared.replica_table import ReplicaTable
from brokenreg.storage.shared.shared_states import Publication

BODIES = 16 * 1024 * 1024
"""Maximum memory for the bytes of recent manifests. One has at most `MAX_MANIFEST`."""

_TOUCHED = 12 * 3600.0
"""Seconds within which only the first request for a blob is written to the database."""

_UNLINKED = 256
"""Maximum number of links that are deleted in one transaction."""


class Index(IndexMemory):
    """The index in one database. Create it with `await Index.open(engine)`. Call `close` when done."""

    def __init__(self, engine: Engine, place: str) -> None:
        super().__init__()
        self._place = place
        self.replica = engine.replica
        """The name of this process among those that share the database; empty if it is not shared."""
        self.upload_prefix = f"{engine.replica}-" if engine.replica else ""
        """The beginning of the ids of all upload sessions of this process."""
        self.is_shared = bool(engine.replica)
        """True if other processes change the index too."""
        self._engine = engine
        self._database = Database(engine, self)
        # Faster to read than an LRUCache, which records the order of reads.
        self._bodies: FIFOCache[Digest, bytes] = FIFOCache(BODIES, getsizeof=len)
        self.recipes = Recipes(self._database)
        self.replicas = ReplicaTable(self._database)
        self.imports = ImportTable(self._database)
        self.leases = Leases(self._database, engine.replica)
        self.lease_ended = self.leases.ended
        self._touching: dict[tuple[RepositoryKey, Digest], asyncio.Task[bool]] = {}

    @classmethod
    async def open(cls, engine: Engine, place: str = "file:") -> Index:
        """Open or create the database, and load it. Raise `StorageError`.

        `place` is the value of `--blobs`. It must be that with which the blobs were stored.
        """
        index = await cls.loaded(engine, place)
        with contextlib.suppress(StorageFullError, DatabaseUnreachableError):  # a later start can do it
            await index._database.write(statements.forget_sizes)
        for problem in index._problems():
            await index.close()
            raise StorageError(problem)
        return index

    @classmethod
    async def loaded(cls, engine: Engine, place: str) -> Index:
        """Open the index to copy it, even if it has not been copied entirely. Raise `StorageError`."""
        index = cls(engine, place)
        await index._database.open()
        return index

    def _problems(self) -> Iterator[str]:
        """Yield why the index cannot be served, and what to do."""
        for other in self.object_places - {self._place}:
            yield str(OtherPlaceError(self._place, other))
        if self.unfinished_imports:
            yield (
                "the database is not complete, because a migration was interrupted; to continue it, "
                'run "brokenreg migrate" again with the same options'
            )

    def load(self, connection: Connection) -> Callable[[], None]:
        """Read the database in another thread. The returned function puts the result in place."""
        loaded = IndexMemory()
        loaded.add_all(connection, self.upload_prefix)
        return partial(self.take_over, loaded)

    async def catch_up(self) -> None:
        """Wait until memory has all changes that were committed before this call, by whichever process.

        Raise `StorageError` if the database cannot be reached.
        """
        if self.is_shared:
            await self._database.catch_up()

    async def close(self) -> None:
        await self._database.close()

    async def publish(self, publications: Sequence[Publication]) -> int:
        """Publish documents to all processes that share the database, and return the new revision.

        Raise `StateConflictError`, and publish none of them, if another process was faster.
        """
        await self._database.write(lambda connection: shared_states.publish(connection, publications))
        return self.states.revision

    def counting(self) -> Counting:
        """Return the counts that decide. Close them before the index."""
        return Counting(self._engine)

    def recent_manifest_body(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest if they are in memory."""
        return self._bodies.get(digest)

    async def manifest_body(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest, or None if it has been deleted."""
        body = self._bodies.get(digest)
        if body is None:
            body = await self._database.read(lambda connection: statements.read_body(connection, digest))
            if body is not None:
                self._bodies[digest] = body
        return body

    async def put_manifest(
        self, key: RepositoryKey, manifest: Manifest, body: bytes, tags: Iterable[str]
    ) -> None:
        """Store a manifest, and point the tags at it in the same transaction."""
        put = ManifestPut(key, manifest, tuple(tags), time.time())
        job = partial(statements.put_manifest, put=put, body=body, is_named=key in self.names)
        await self._database.write(job)
        self._bodies[manifest.digest] = body

    async def delete_manifest(
        self, key: RepositoryKey, digest: Digest, *, stored_before: float | None = None
    ) -> bool:
        """Delete a manifest and the tags that point to it. Return False if it is missing.

        With `stored_before` (seconds since the epoch), delete it only if it was not stored or tagged later.
        The transaction checks this, because a push may be queued before it. The links of the blobs that the
        manifest mentions get the current time, so that they become garbage a day after the last manifest.
        """
        now = time.time()
        return bool(
            await self._database.write(
                lambda connection: statements.delete_manifest(connection, key, digest, now, stored_before)
            )
        )

    async def delete_tag(self, key: RepositoryKey, tag: str) -> bool:
        """Delete a tag, but not its manifest. Return False if it is missing."""
        return bool(
            await self._database.write(lambda connection: statements.delete_tag(connection, key, tag))
        )

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
        link = BlobLinked(key, digest, when, size, upload_id)
        job = partial(statements.link_in_place, link=link, place=self._place, is_named=key in self.names)
        await self._database.write(job)

    async def unlink_blobs(
        self, key: RepositoryKey, digests: Iterable[Digest], *, unused_since: float | None = None
    ) -> int:
        """Delete a repository's links to blobs, and return their number.

        With `unused_since` (seconds since the epoch), delete only those that are older and that no manifest
        mentions. The transaction checks this, because a push may be queued before it.
        """
        return await self._unlink([(key, digest) for digest in digests], unused_since)

    async def unlink_cached(self, digests: Collection[Digest]) -> None:
        """Delete the links of all cached repositories to these blobs."""
        wanted = set(digests)
        await self._unlink(
            [
                (key, digest)
                for key, repository in self.repositories.items()
                if is_cache(key)
                for digest in repository.links.keys() & wanted
            ]
        )

    async def _unlink(
        self, links: list[tuple[RepositoryKey, Digest]], unused_since: float | None = None
    ) -> int:
        """Delete links, and return their number.

        Delete a few at a time, so that neither the event loop nor pushes wait for all of them.
        """
        count = 0
        for start in range(0, len(links), _UNLINKED):
            few = links[start : start + _UNLINKED]
            changes = await self._database.write(
                partial(statements.unlink_blobs, links=few, unused_since=unused_since)
            )
            for change in changes:
                count += len(change.links) if isinstance(change, BlobsUnlinked) else 0
        return count

    def touch_link(self, key: RepositoryKey, digest: Digest, when: float) -> asyncio.Task[bool] | None:
        """Note that a client has requested a blob: it may be about to push a manifest that mentions it.

        Twice a day, the time is also written to the database, where the collector of each process reads it.
        Then return a task, whose result is False if the blob was unlinked in the meantime.
        """
        links = self.repositories[key].links
        if when // _TOUCHED <= links[digest] // _TOUCHED:
            links[digest] = when
            return None
        link = (key, digest)
        writing = self._touching.get(link)
        if writing is None:
            writing = self._touching[link] = asyncio.create_task(self._touch(key, digest, when))
            writing.add_done_callback(lambda _: self._touching.pop(link))
        return writing

    async def _touch(self, key: RepositoryKey, digest: Digest, when: float) -> bool:
        with contextlib.suppress(StorageError):  # the next request tries again; blobs are served until then
            await self._database.write(partial(statements.touch_link, key=key, digest=digest, when=when))
        return key in self.repositories and digest in self.repositories[key].links

    def touch_manifest(self, key: RepositoryKey, digest: Digest, when: float) -> None:
        """Note that a manifest was requested. The time is only in memory."""
        self.repositories[key].requested[digest] = when

    async def correct_times(self, key: RepositoryKey, now: float) -> None:
        """Set the times of links, manifests and requests that are later than `now` to `now`."""
        await self._database.write(lambda connection: statements.correct_times(connection, key, now))

    def touch_upload(self, upload_id: str) -> None:
        """Mark an upload session as just used. The least recently used is the first in `uploads`."""
        self.uploads[upload_id] = self.uploads.pop(upload_id)

    async def open_upload(self, row: UploadRow) -> None:
        """Store an upload session."""
        await self._database.write(lambda connection: statements.open_upload(connection, row))

    async def close_uploads(self, upload_ids: Iterable[str]) -> None:
        """Delete upload sessions."""
        closed = tuple(upload_ids)
        await self._database.write(lambda connection: statements.close_uploads(connection, closed))

    async def link_object(self, link: BlobLinked, new: StoredObject | None) -> StoredObject | None:
        """Link a repository to a blob that has an intact object, or else to `new`. Return the linked object.

        Return None without either: the object was removed in the meantime.
        """
        changes = await self._database.write(
            partial(statements.link_object, link=link, new=new, place=self._place)
        )
        return self.objects.get(link.digest) if changes else None

    async def add_object(self, digest: Digest, new: StoredObject) -> None:
        """Store the object of a blob, unless it has an intact one."""
        await self._database.write(partial(statements.put_object, digest=digest, new=new, place=self._place))

    async def condemn_object(self, digest: Digest, key: str, problem: str) -> None:
        """Stop serving a blob whose object is lost or corrupt, unless another object has replaced it."""
        await self._database.write(
            partial(statements.condemn_object, digest=digest, key=key, problem=problem, place=self._place)
        )

    async def forget_objects(self, digests: Sequence[Digest], before: float) -> list[str]:
        """Forget the objects of blobs without links that were stored before `before`. Return their keys."""
        keys: list[str] = []
        for start in range(0, len(digests), _UNLINKED):
            few = digests[start : start + _UNLINKED]
            changes = await self._database.write(
                partial(statements.forget_objects, digests=few, before=before, place=self._place)
            )
            for each in changes:
                if isinstance(each, ObjectsForgotten):
                    keys += [key for _, key in each.forgotten]
        return keys
