"""Limits the copies of objects in the data folder by removing the least recently used."""

from __future__ import annotations

import asyncio

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.blobs_by_use import BlobsByUse
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota


class LocalCopies:
    """The blobs of the data folder that are in the object store too. The quota limits their size.

    A pinned blob is never removed.
    """

    def __init__(self, folder: DataFolder, index: Index, blobs: BlobStore, quota: Quota) -> None:
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._quota = quota
        self._by_use = BlobsByUse(folder, blobs, quota, self._may_remove)
        self._making_room = asyncio.Lock()

    async def load(self) -> None:
        """Find the copies that exist. Remove those that exceed a limit that was larger before a restart."""
        await self._by_use.load(self._folder.stored_digests())
        async with self._making_room:
            await self._remove(0)

    def used(self, digest: Digest, size: int) -> None:
        """Mark a copy as just used."""
        self._by_use.used(digest, size)

    def gone(self, digest: Digest) -> None:
        """Stop counting a copy whose file was removed elsewhere."""
        self._by_use.gone(digest)

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all removable copies would make room for `size` bytes."""
        return self._by_use.can_give_way(size)

    async def give_way(self, size: int) -> None:
        """Remove copies until the quota has room for `size` bytes. Remove none if that is impossible."""
        async with self._making_room:
            if self.can_give_way(size):
                await self._remove(size)

    async def _remove(self, size: int) -> None:
        """Remove copies until the quota has room for `size` bytes, or all that may be removed."""
        candidates = iter(tuple(self._by_use.sizes))
        while (excess := self._quota.excess(size)) > 0:
            removed, paths = self._by_use.take_out(candidates, excess)
            if not removed:
                return
            await FILE_THREADS.run(self._quota.remove, paths)

    def _may_remove(self, digest: Digest) -> bool:
        """Return whether a blob is in the object store, and no request needs its file."""
        return self._index.intact_object(digest) is not None and not self._blobs.is_pinned(digest)
