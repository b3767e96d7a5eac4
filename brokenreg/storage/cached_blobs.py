"""Limits the cached blobs of upstreams by removing the least recently used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.blobs_by_use import BlobsByUse
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import is_cache

if TYPE_CHECKING:
    from brokenreg.storage.objects.garbage import ObjectGarbage

_FOLLOW_INTERVAL = 60.0
"""Minimum time between two looks at what other processes have cached, in seconds."""

_EXAMINED = 2000
"""Number of blobs that are examined before other tasks run."""


class CachedBlobs:
    """The cached blobs, with at most `limit` bytes in total.

    The files' modification times keep the order of use after a restart. A pinned blob is never removed: a
    client is reading it, or a push is about to link it. A blob that was also pushed is not removed while a
    repository outside the cache has a link to it.
    """

    def __init__(
        self,
        folder: DataFolder,
        index: Index,
        blobs: BlobStore,
        quota: Quota,
        limit: int,
        garbage: ObjectGarbage | None = None,
    ) -> None:
        """With `garbage`, the blobs are in an object store, and the quota limits only copies of them."""
        self._garbage = garbage
        self._index = index
        self._blobs = blobs
        self._quota = quota
        self.max_size = limit
        """The configured maximum size of all cached blobs, in bytes."""
        is_in_folder = quota.limit is not None and garbage is None
        self._limit = min(limit, quota.limit) if quota.limit is not None and is_in_folder else limit
        self._by_use = BlobsByUse(folder, blobs, quota, self._may_remove)
        self._making_room = asyncio.Lock()
        self._next_follow = 0.0

    async def load(self) -> None:
        """Find the blobs that are already cached."""
        cached = {
            digest
            for key, repository in self._index.repositories.items()
            if is_cache(key)
            for digest in repository.links
        }
        if self._garbage is None:
            await self._by_use.load(cached)
        else:
            objects = {digest: self._index.objects[digest] for digest in cached & self._index.objects.keys()}
            by_time = sorted(objects.items(), key=lambda item: item[1].stored)
            self._by_use.sizes.update((digest, stored.size) for digest, stored in by_time)

    def used(self, digest: Digest, size: int) -> None:
        """Mark a blob as just used, because it is served from the cache or was fetched."""
        self._by_use.used(digest, size, has_file=self._garbage is None)

    def gone(self, digest: Digest) -> None:
        """Stop counting a blob whose file was removed elsewhere."""
        self._by_use.gone(digest)

    async def make_room(self) -> None:
        """Remove the least recently used blobs until the others are within the limits.

        The limits may have been larger before a restart. Raise `OSError` or `StorageError` if this fails.
        """
        async with self._making_room:
            if self._index.is_shared and self._garbage is not None:
                await self._follow()
            excess = 0 if self._garbage is not None else self._quota.excess(0)
            await self._remove(max(await self._total() - self._limit, excess))

    async def _follow(self) -> None:
        """Note what other processes have cached in the object store. What they removed has no link any more.

        When they used it is unknown, so it counts as used before the newest of this process.
        """
        if time.monotonic() < self._next_follow:
            return
        self._next_follow = time.monotonic() + _FOLLOW_INTERVAL
        objects, sizes = self._index.objects, self._by_use.sizes
        newest = next(reversed(sizes), None)
        for key, repository in tuple(self._index.repositories.items()):
            if is_cache(key):
                await asyncio.sleep(0)
                new = [digest for digest in repository.links if digest in objects and digest not in sizes]
                sizes.update((digest, objects[digest].size) for digest in new)
        if newest is not None and newest in sizes:
            sizes.move_to_end(newest)

    async def evict(self, digest: Digest) -> bool:
        """Remove one blob immediately. Return False if it is pinned.

        If it was pushed too, the file stays, but is no longer served from the cache. Raise `OSError` or
        `StorageError`.
        """
        async with self._making_room:
            path = None
            if not self._index.is_pushed(digest):
                path = self._blobs.take_out(digest)
                if path is None and self._blobs.is_pinned(digest):
                    return False
            self._by_use.gone(digest)
            await self._unlink([digest], [path] if path else [])
        return True

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all removable blobs would make room for `size` bytes."""
        return self._by_use.can_give_way(size)

    async def give_way(self, size: int) -> None:
        """Remove blobs until the quota has room for `size` bytes. Remove none if that is impossible."""
        async with self._making_room:
            if self.can_give_way(size):
                await self._remove(self._quota.excess(size))

    async def _remove(self, excess: int) -> None:
        """Remove at least `excess` bytes of blobs, or all removable blobs if they have fewer.

        After a crash, links without a blob may remain, which have no effect.
        """
        if excess <= 0:
            return
        candidates = await self._in_order()
        while excess > 0:
            removed, paths = self._by_use.take_out(candidates, excess)
            if not removed:
                return
            await self._unlink(removed, paths)  # now: a client that fetches one of them again links it
            excess -= sum(removed.values())

    async def _unlink(self, digests: Collection[Digest], paths: list[Path]) -> None:
        """Delete the links of removed blobs, and their files and objects."""
        try:
            await self._index.unlink_cached(digests)
        finally:
            await FILE_THREADS.run(self._quota.remove, paths)
        if self._garbage is not None:
            await self._garbage.drop(digests)

    async def _in_order(self) -> Iterator[Digest]:
        """Return the blobs that may be removed: garbage first, then those larger than the limit."""
        garbage: list[Digest] = []
        too_large: list[Digest] = []
        others: list[Digest] = []
        async for digest, _ in self._all():
            if not self._may_remove(digest):
                continue
            if not self._index.is_linked(digest):
                garbage.append(digest)
            elif self._is_too_large(digest):
                too_large.append(digest)
            else:
                others.append(digest)
        return chain(garbage, too_large, others)

    def _may_remove(self, digest: Digest) -> bool:
        return not self._index.is_pushed(digest) and not self._blobs.is_pinned(digest)

    async def _total(self) -> int:
        """Return the total size of all blobs that are only cached.

        A blob larger than the limit does not count while it is read, so that no others are removed for it.
        """
        total = 0
        async for digest, size in self._all():
            is_removed_later = self._is_too_large(digest) and self._blobs.is_pinned(digest)
            if not self._index.is_pushed(digest) and not is_removed_later:
                total += size
        return total

    async def _all(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield all blobs and their sizes, least recently used first. Let other tasks run in between."""
        for number, digest in enumerate(tuple(self._by_use.sizes)):
            if number % _EXAMINED == _EXAMINED - 1:
                await asyncio.sleep(0)
            size = self._by_use.sizes.get(digest)
            if size is not None:  # None: it was removed in the meantime
                yield digest, size

    def _is_too_large(self, digest: Digest) -> bool:
        return self._by_use.sizes[digest] > self._limit
