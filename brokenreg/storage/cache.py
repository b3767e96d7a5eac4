"""Limits the cached blobs and manifests of upstreams by removing the least recently used."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import RepositoryKey, is_cache

if TYPE_CHECKING:
    from brokenreg.storage.objects.garbage import ObjectGarbage

_SLICE = 128
"""Maximum number of blobs that are removed before other tasks run."""

_TURN = 0.004
"""Maximum seconds of renaming files before other tasks run: a busy disk takes milliseconds for each."""

_EXAMINED = 2000
"""Number of blobs that are examined before other tasks run."""

MAX_MANIFESTS = 50_000
"""Maximum number of cached manifests, at about 4 KiB of memory each."""

MAX_MANIFEST_BYTES = 1024 * 1024 * 1024
"""Maximum size of all cached manifests on disk, in bytes."""


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
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._quota = quota
        self.max_size = limit
        """The configured maximum size of all cached blobs, in bytes."""
        is_in_folder = quota.limit is not None and garbage is None
        self._limit = min(limit, quota.limit) if quota.limit is not None and is_in_folder else limit
        self._sizes: OrderedDict[Digest, int] = OrderedDict()
        self._making_room = asyncio.Lock()

    async def load(self) -> None:
        """Find the blobs that are already cached."""
        cached = {
            digest
            for key, repository in self._index.repositories.items()
            if is_cache(key)
            for digest in repository.links
        }
        if self._garbage is None:
            self._sizes.update(await FILE_THREADS.run(by_age, self._folder, cached))
        else:
            objects = {digest: self._index.objects[digest] for digest in cached & self._index.objects.keys()}
            by_time = sorted(objects.items(), key=lambda item: item[1].stored)
            self._sizes.update((digest, stored.size) for digest, stored in by_time)

    def used(self, digest: Digest, size: int) -> None:
        """Mark a blob as just used, because it is served from the cache or was fetched."""
        if self._garbage is None and not mark_used(self._folder, digest):
            return
        self._sizes[digest] = size
        self._sizes.move_to_end(digest)

    def gone(self, digest: Digest) -> None:
        """Stop counting a blob whose file was removed elsewhere."""
        self._sizes.pop(digest, None)

    async def make_room(self) -> None:
        """Remove the least recently used blobs until the others are within the limits.

        The limits may have been larger before a restart. Raise `OSError` or `StorageError` if this fails.
        """
        async with self._making_room:
            excess = 0 if self._garbage is not None else self._quota.excess(0)
            await self._remove(max(await self._total() - self._limit, excess))

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
            self._sizes.pop(digest, None)
            await self._unlink([digest], [path] if path else [])
        return True

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all removable blobs would make room for `size` bytes."""
        excess = self._quota.excess(size)
        for digest, each in self._sizes.items():
            if excess <= 0:
                break
            if self._may_remove(digest):
                excess -= each
        return excess <= 0

    async def give_way(self, size: int) -> None:
        """Remove blobs until the quota has room for `size` bytes. Remove none if that is impossible."""
        async with self._making_room:
            if self.can_give_way(size):
                await self._remove(self._quota.excess(size))

    async def _remove(self, excess: int) -> None:
        """Remove at least `excess` bytes of blobs, or all removable blobs if they have fewer."""
        if excess <= 0:
            return
        candidates = await self._in_order()
        while excess > 0:
            removed, paths = self._take_out(candidates, excess)
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

    def _take_out(self, candidates: Iterator[Digest], excess: int) -> tuple[dict[Digest, int], list[Path]]:
        """Rename the next few blobs, without a pause in which they could be read or linked.

        After a crash, links without a blob may remain, which have no effect. So may renamed files, which the
        collector removes like uploads without a session.
        """
        removed: dict[Digest, int] = {}
        paths: list[Path] = []
        end = time.perf_counter() + _TURN
        while excess > 0 and len(removed) < _SLICE and (not removed or time.perf_counter() < end):
            digest = next(candidates, None)
            if digest is None:
                break
            if self._may_remove(digest):  # another request may have pinned or linked it since
                path = self._blobs.take_out(digest)
                removed[digest] = self._sizes.pop(digest)
                excess -= removed[digest]
                paths += [path] if path else []
        return removed, paths

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
        return (
            digest in self._sizes and not self._index.is_pushed(digest) and not self._blobs.is_pinned(digest)
        )

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
        for number, digest in enumerate(tuple(self._sizes)):
            if number % _EXAMINED == _EXAMINED - 1:
                await asyncio.sleep(0)
            size = self._sizes.get(digest)
            if size is not None:  # None: it was removed in the meantime
                yield digest, size

    def _is_too_large(self, digest: Digest) -> bool:
        return self._sizes[digest] > self._limit


def by_age(folder: DataFolder, digests: Iterable[Digest]) -> list[tuple[Digest, int]]:
    """Return the existing blobs with their sizes, least recently used first. Blocks."""
    found: list[tuple[float, Digest, int]] = []
    for digest in digests:
        with contextlib.suppress(FileNotFoundError):
            status = folder.blob(digest).stat()
            found.append((status.st_mtime, digest, status.st_size))
    return [(digest, size) for _, digest, size in sorted(found)]


def mark_used(folder: DataFolder, digest: Digest) -> bool:
    """Record in the file of a blob that it was just used. Return False if the file is missing."""
    try:
        os.utime(folder.blob(digest))
    except FileNotFoundError:  # it was removed in the meantime
        return False
    return True


class CachedManifests:
    """The cached manifests, limited by `MAX_MANIFESTS` and `MAX_MANIFEST_BYTES`.

    The least recently requested are deleted first, even if they have tags, because upstreams and clients can
    create any number of tags.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        found = sorted(
            (when, key, digest, repository.manifests[digest].size)
            for key, repository in index.repositories.items()
            if is_cache(key)
            for digest, when in repository.requested.items()
        )
        # No limit of its own: evicting a manifest must also delete it from the index, which takes time.
        self._sizes: LRUCache[tuple[RepositoryKey, Digest], int] = LRUCache(math.inf, getsizeof=int)
        for _, key, digest, size in found:
            self._sizes[key, digest] = size

    def used(self, key: RepositoryKey, digest: Digest) -> None:
        """Mark a manifest as requested."""
        self._sizes.get((key, digest))

    async def add(self, key: RepositoryKey, digest: Digest, size: int) -> None:
        """Count a stored manifest, and delete others beyond the limits. Raise `StorageError`."""
        self._sizes[key, digest] = size
        while len(self._sizes) > MAX_MANIFESTS or self._sizes.currsize > MAX_MANIFEST_BYTES:
            (repository, oldest), _ = self._sizes.popitem()
            await self._index.delete_manifest(repository, oldest)  # False if it was already deleted
