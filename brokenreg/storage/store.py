"""Opens and closes all parts of the storage together."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from brokenreg.concurrency import background
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.cache import CachedBlobs
from brokenreg.storage.collector import Collector
from brokenreg.storage.database import SQLite
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.integrity import Integrity
from brokenreg.storage.quota import Quota, Room
from brokenreg.storage.records import RepositoryKey
from brokenreg.storage.uploads import UploadStore


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

    async def link(self, key: RepositoryKey, digest: Digest) -> bool:
        """Link a repository to a stored blob (a mount). Return False if the blob is missing or corrupt."""
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
    ) -> AsyncIterator[Store]:
        """Claim the data folder, load the index, and collect garbage now and every hour.

        Cached blobs have at most `cache_size` bytes. Unless `max_data` is None, all blobs and uploads have at
        most `max_data` bytes together: cached blobs are removed first, then writing fails with EDQUOT. Unless
        `verify_interval` is None, all blobs are verified every `verify_interval` seconds.

        Raise `StorageError` (one clear line) if the folder cannot be used.
        """
        folder = DataFolder(root)
        folder.claim()
        try:
            index = await Index.open(SQLite(folder.index))
            try:
                quota = Quota(max_data)
                async with _collecting(folder, index, cache_size, quota, verify_interval) as store:
                    yield store
            finally:
                await index.close()
        finally:
            folder.release()


@contextlib.asynccontextmanager
async def _collecting(
    folder: DataFolder, index: Index, cache_size: int, quota: Quota, verify_interval: float | None
) -> AsyncIterator[Store]:
    blobs = BlobStore(folder, quota)
    cache = CachedBlobs(folder, index, blobs, quota, cache_size)
    room = Room(quota, cache)
    uploads = UploadStore(folder, index, blobs, room)
    integrity = Integrity(folder, index, blobs, cache)
    collector = Collector(folder, index, blobs, uploads, cache, quota)
    if quota.limit is not None:
        quota.count(await FILE_THREADS.run(folder.stored_bytes))
    await cache.load()
    tasks = [collector.run()]
    if verify_interval is not None:
        tasks.append(integrity.run(verify_interval))
    async with background(*tasks):
        yield Store(folder, index, blobs, uploads, collector, cache, room, integrity)
