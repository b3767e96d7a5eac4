"""Limits the copies of objects in the data folder by removing the least recently used."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from brokenreg.concurrency import paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.cache import by_age, mark_used
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota

_SLICE = 64
"""Maximum number of copies that are removed before other tasks run."""


class LocalCopies:
    """The blobs of the data folder that are in the object store too. The quota limits their size.

    The files' modification times keep the order of use after a restart. A pinned blob is never removed.
    """

    def __init__(self, folder: DataFolder, index: Index, blobs: BlobStore, quota: Quota) -> None:
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._quota = quota
        self._sizes: OrderedDict[Digest, int] = OrderedDict()
        self._making_room = asyncio.Lock()

    async def load(self) -> None:
        """Find the copies that exist. Remove those that exceed a limit that was larger before a restart."""
        stored = await FILE_THREADS.run(lambda: by_age(self._folder, self._folder.stored_digests()))
        self._sizes.update(stored)
        async with self._making_room:
            await self._remove(0)

    def used(self, digest: Digest, size: int) -> None:
        """Mark a copy as just used."""
        if mark_used(self._folder, digest):
            self._sizes[digest] = size
            self._sizes.move_to_end(digest)

    def gone(self, digest: Digest) -> None:
        """Stop counting a copy whose file was removed elsewhere."""
        self._sizes.pop(digest, None)

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all removable copies would make room for `size` bytes."""
        excess = self._quota.excess(size)
        for digest, each in self._sizes.items():
            if excess <= 0:
                break
            if self._may_remove(digest):
                excess -= each
        return excess <= 0

    async def give_way(self, size: int) -> None:
        """Remove copies until the quota has room for `size` bytes. Remove none if that is impossible."""
        async with self._making_room:
            if self.can_give_way(size):
                await self._remove(size)

    async def _remove(self, size: int) -> None:
        """Remove copies until the quota has room for `size` bytes, or all that may be removed."""
        while (excess := self._quota.excess(size)) > 0:
            paths = [path async for path in paced(self._take_out(excess))]
            if not paths:
                return
            await FILE_THREADS.run(self._quota.remove, paths)

    def _take_out(self, excess: int) -> Iterator[Path]:
        """Rename the next few copies, the least recently used first, and yield their new paths."""
        count = 0
        for digest in list(self._sizes):
            if excess <= 0 or count == _SLICE:
                return
            if digest in self._sizes and self._may_remove(digest):
                path = self._blobs.take_out(digest)
                excess -= self._sizes.pop(digest)
                count += 1
                if path is not None:
                    yield path

    def _may_remove(self, digest: Digest) -> bool:
        """Return whether a blob is in the object store, and no request needs its file."""
        return self._index.intact_object(digest) is not None and not self._blobs.is_pinned(digest)
