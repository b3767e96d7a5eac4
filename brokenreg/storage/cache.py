"""Blobs that can be fetched again: in order of their last use, and no more of them than told."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.records import RepositoryKey

CACHE_MARK = "@"
"""First character of the namespaces of the cache: no path can name them."""


def is_cache(key: RepositoryKey) -> bool:
    """Whether a repository holds what came from an upstream."""
    return key[0].startswith(CACHE_MARK)


class CachedBlobs:
    """The blobs that no push brought. Sizes in bytes; files' modification times keep the order over restarts.

    A blob that somebody reads, or that a push is about to refer to, is never let go of.
    """

    def __init__(self, folder: DataFolder, index: Index, blobs: BlobStore, limit: int) -> None:
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._limit = limit
        self._sizes: OrderedDict[Digest, int] = OrderedDict()
        self._making_room = asyncio.Lock()
        self.total = 0

    def __len__(self) -> int:
        return len(self._sizes)

    async def load(self) -> None:
        """Find what is cached already."""
        cached, pushed = set[Digest](), set[Digest]()
        for key, repository in self._index.repositories.items():
            (cached if is_cache(key) else pushed).update(repository.links)
        for digest, size in await asyncio.to_thread(self._by_age, cached - pushed):
            self._count(digest, size)

    def added(self, digest: Digest, size: int) -> None:
        """A blob has come from an upstream."""
        if any(is_cache(key) is False for key in self._linking(digest)):
            return
        self._count(digest, size)

    def used(self, digest: Digest) -> None:
        """A blob is served."""
        if digest in self._sizes:
            self._sizes.move_to_end(digest)
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._folder.blob(digest))

    async def make_room(self, needed: int = 0) -> None:
        """Let go of what was not used for longest, until there is room for so many bytes more."""
        async with self._making_room:
            for digest in list(self._sizes):
                if self.total + needed <= self._limit:
                    return
                if not self._blobs.is_pinned(digest):
                    await self._let_go(digest)

    async def _let_go(self, digest: Digest) -> None:
        linking = self._linking(digest)
        if all(is_cache(key) for key in linking):
            for key in linking:
                await self._index.unlink_blobs(key, [digest])
            if not self._index.is_linked(digest):
                doomed = self._blobs.take_out(digest)
                if doomed is not None:
                    await asyncio.to_thread(doomed.unlink, missing_ok=True)
        # Pushed meanwhile, gone by another way, or let go of: it counts no more.
        self.total -= self._sizes.pop(digest, 0)

    def _linking(self, digest: Digest) -> list[RepositoryKey]:
        return [key for key, repository in self._index.repositories.items() if digest in repository.links]

    def _count(self, digest: Digest, size: int) -> None:
        self.total += size - self._sizes.pop(digest, 0)
        self._sizes[digest] = size

    def _by_age(self, digests: set[Digest]) -> list[tuple[Digest, int]]:
        """Those that are here, the one first that was not used for longest. Blocks."""
        found: list[tuple[float, Digest, int]] = []
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                status = self._folder.blob(digest).stat()
                found.append((status.st_mtime, digest, status.st_size))
        return [(digest, size) for _, digest, size in sorted(found)]
