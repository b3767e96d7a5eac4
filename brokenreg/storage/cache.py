"""Blobs that can be fetched again: in order of their last use, and no more of them than told."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import is_cache


class CachedBlobs:
    """The blobs that no push brought. Sizes in bytes; files' modification times keep the order over restarts.

    A blob that somebody reads, or that a push is about to refer to, is never let go of; nor is one that was
    pushed too, for as long as a repository of pushes is linked to it. The index is asked when it matters.
    """

    def __init__(self, folder: DataFolder, index: Index, blobs: BlobStore, quota: Quota, limit: int) -> None:
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._quota = quota
        self._limit = limit
        self._sizes: OrderedDict[Digest, int] = OrderedDict()
        self._making_room = asyncio.Lock()
        self.total = 0
        """Bytes of those that may be let go of, as of the last time that room was made."""

    async def load(self) -> None:
        """Find what is cached already."""
        cached = {
            digest
            for key, repository in self._index.repositories.items()
            if is_cache(key)
            for digest in repository.links
        }
        for digest, size in await asyncio.to_thread(self._by_age, cached):
            self._count(digest, size)

    def added(self, digest: Digest, size: int) -> None:
        """A blob has come from an upstream."""
        self._count(digest, size)
        if size > self._limit:  # it cannot stay; the others can
            self._sizes.move_to_end(digest, last=False)

    def used(self, digest: Digest) -> None:
        """A blob is served."""
        if digest in self._sizes:
            self._sizes.move_to_end(digest)
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._folder.blob(digest))

    async def make_room(self) -> None:
        """Let go of what was not used for longest, until the rest is as small as it must be.

        Raise `OSError` or `StorageError` if it cannot be removed.
        """
        await self._let_go_until(lambda: self.total <= self._limit)

    async def give_way(self, size: int) -> None:
        """As `make_room`, until the quota has room for so many bytes."""
        await self._let_go_until(lambda: self._quota.fits(size))

    async def _let_go_until(self, is_enough: Callable[[], bool]) -> None:
        async with self._making_room:
            self.total = sum(size for digest, size in self._sizes.items() if self._is_ours(digest))
            for digest in sorted(self._sizes, key=self._index.is_linked):  # first what is garbage anyway
                if is_enough():
                    return
                if self._is_ours(digest) and not self._blobs.is_pinned(digest):
                    await self._let_go(digest)

    def _is_ours(self, digest: Digest) -> bool:
        return not self._index.is_pushed(digest)

    async def _let_go(self, digest: Digest) -> None:
        """First it is served no more, then it is no more; a crash in between leaves it to the collector."""
        for key, repository in list(self._index.repositories.items()):
            if is_cache(key) and digest in repository.links:
                await self._index.unlink_blobs(key, [digest])
        # No await from here to the rename: nobody can link the blob in between.
        if self._index.is_linked(digest) or self._blobs.is_pinned(digest):
            return
        doomed = self._blobs.take_out(digest)
        self._forget(digest)
        if doomed is not None:
            await asyncio.to_thread(self._quota.remove, [doomed])

    def _count(self, digest: Digest, size: int) -> None:
        self._forget(digest)
        self._sizes[digest] = size
        self.total += size

    def _forget(self, digest: Digest) -> None:
        self.total -= self._sizes.pop(digest, 0)

    def _by_age(self, digests: set[Digest]) -> list[tuple[Digest, int]]:
        """Those that are here, the one first that was not used for longest. Blocks."""
        found: list[tuple[float, Digest, int]] = []
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                status = self._folder.blob(digest).stat()
                found.append((status.st_mtime, digest, status.st_size))
        return [(digest, size) for _, digest, size in sorted(found)]
