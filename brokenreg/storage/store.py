"""Opens and closes all parts of the storage together."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from brokenreg.concurrency import background
from brokenreg.config.blob_location import BlobLocation
from brokenreg.config.databases import SQLITE
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobFile, BlobStore
from brokenreg.storage.cached_blobs import CachedBlobs
from brokenreg.storage.changes import BlobLinked
from brokenreg.storage.collector import Collector
from brokenreg.storage.database.engines import engine_for
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.integrity import Integrity
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.storage.objects.remote_blobs import RemoteBlobs
from brokenreg.storage.quota import Quota, Room
from brokenreg.storage.records import RepositoryKey, StoredObject
from brokenreg.storage.uploads.upload_store import UploadStore

_FOLDER = BlobLocation()
_COPIES = 20 * 1024**3
"""Default limit of the data folder in bytes, if the blobs are in an object store."""


@dataclass(frozen=True, slots=True)
class Store:
    """The parts of the storage."""

    folder: DataFolder
    index: Index
    blobs: BlobStore
    uploads: UploadStore
    collector: Collector
    cache: CachedBlobs
    room: Room
    integrity: Integrity
    objects: RemoteBlobs | None
    """The blobs in the object store, or None if the data folder has all blobs."""

    def size(self, digest: Digest) -> int | None:
        """Return the size of a blob in bytes, or None if it is missing or corrupt."""
        stored = self.index.intact_object(digest)
        return self.integrity.size(digest) if stored is None else stored.size

    def corrupt_size(self, digest: Digest) -> int | None:
        """Return the size of a blob that is corrupt, in bytes, or None."""
        stored = self.index.objects.get(digest)
        if stored is not None:
            return stored.size if stored.problem else None
        return self.blobs.quarantined_size(digest)

    def find(self, digest: Digest) -> BlobFile | StoredObject | None:
        """Open a blob to serve it, or return its object if the data folder has no copy.

        Return None if it is missing or corrupt.
        """
        file = self.integrity.open(digest)
        if self.objects is None:
            return file
        if file is None:
            return self.index.intact_object(digest)
        self.objects.copies.used(digest, file.size)
        return file

    async def open_whole(self, digest: Digest) -> BlobFile | None:
        """Open a blob, after fetching it if it is only in the object store. Return None if it is missing.

        Raise `OCIError` if it cannot be fetched.
        """
        with self.blobs.pin(digest):
            file = await asyncio.to_thread(self.blobs.open, digest)
            stored = self.index.intact_object(digest)
            if file is None and self.objects is not None and stored is not None:
                await self.objects.downloads.fetch_whole(digest, stored)
                file = await asyncio.to_thread(self.blobs.open, digest)
            return file

    async def link(self, key: RepositoryKey, digest: Digest) -> bool:
        """Link a repository to a stored blob (a mount). Return False if the blob is missing or corrupt."""
        if self.objects is not None:
            return await self.index.link_object(BlobLinked(key, digest, time.time()), None) is not None
        with self.blobs.pin(digest):
            file = self.integrity.open(digest)
            if file is None:
                return False
            file.close()
            await self.index.link_blob(key, digest, time.time())
            return True

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        root: Path,
        cache_size: int = sys.maxsize,
        max_data: int | None = None,
        verify_interval: float | None = None,
        location: BlobLocation = _FOLDER,
        *,
        redirects: bool = False,
        database: str = SQLITE,
    ) -> AsyncIterator[Store]:
        """Claim the data folder, load the index, and collect garbage now and every hour.

        Cached blobs have at most `cache_size` bytes. Unless `max_data` is None, all blobs and uploads in the
        folder have at most `max_data` bytes together: cached blobs are removed first, then writing fails with
        EDQUOT. Unless `verify_interval` is None, all blobs are verified every `verify_interval` seconds. The
        index is in the database with the URL `database`.

        If `location` is in an object store, the folder has only copies of the blobs: 20 GiB by default. With
        `redirects`, clients are sent to the object store to read blobs.

        Raise `StorageError` (one clear line) if the folder or the object store cannot be used.
        """
        folder = DataFolder(root)
        folder.claim()
        try:
            index = await Index.open(engine_for(database, folder), str(location))
            try:
                objects = None if location.is_folder else await ObjectStore.connected(location)
                quota = Quota(_COPIES if max_data is None and objects is not None else max_data)
                blobs = BlobStore(folder, quota)
                remote = RemoteBlobs(objects, folder, index, blobs, quota, redirects) if objects else None
                async with _collecting(
                    folder, index, blobs, quota, cache_size, verify_interval, remote
                ) as store:
                    yield store
            finally:
                await index.close()
        finally:
            folder.release()


@contextlib.asynccontextmanager
async def _collecting(
    folder: DataFolder,
    index: Index,
    blobs: BlobStore,
    quota: Quota,
    cache_size: int,
    verify_interval: float | None,
    objects: RemoteBlobs | None,
) -> AsyncIterator[Store]:
    cache = CachedBlobs(folder, index, blobs, quota, cache_size, objects.garbage if objects else None)
    room = Room(quota, objects.copies if objects else cache)
    uploads = UploadStore(folder, index, blobs, room, objects.uploads if objects else None)
    integrity = Integrity(folder, index, blobs, cache, objects)
    collector = Collector(folder, index, blobs, uploads, cache, quota, objects)
    if quota.limit is not None:
        quota.count(await FILE_THREADS.run(folder.stored_bytes))
    await cache.load()
    tasks = [collector.run()]
    if verify_interval is not None:
        tasks.append(integrity.run(verify_interval))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(index.leases.end_all)
        if objects is not None:
            await stack.enter_async_context(objects.running(uploads))
        await stack.enter_async_context(background(*tasks))
        yield Store(folder, index, blobs, uploads, collector, cache, room, integrity, objects)
