"""Blobs that can be fetched again: in order of their last use, and no more of them than told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import is_cache

_SLICE = 128
"""Maximum number of blobs that are removed before the loop gets a turn."""

_TURN = 0.004
"""Seconds of renaming files before the loop gets a turn: a busy disk takes milliseconds for each."""

_LOOKED_AT = 2000
"""Number of blobs that are examined before the loop gets a turn."""


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
        self.max_size = limit
        """The configured maximum size of all cached blobs, in bytes."""
        self._limit = limit if quota.limit is None else min(limit, quota.limit)
        self._sizes: OrderedDict[Digest, int] = OrderedDict()
        self._making_room = asyncio.Lock()

    async def load(self) -> None:
        """Find what is cached already."""
        cached = {
            digest
            for key, repository in self._index.repositories.items()
            if is_cache(key)
            for digest in repository.links
        }
        self._sizes.update(await FILE_THREADS.run(self._by_age, cached))

    def used(self, digest: Digest, size: int) -> None:
        """A blob is served as an upstream's, or has just come from there."""
        try:
            os.utime(self._folder.blob(digest))
        except FileNotFoundError:  # it was let go of in this moment
            return
        self._sizes[digest] = size
        self._sizes.move_to_end(digest)

    def gone(self, digest: Digest) -> None:
        """A blob was removed by somebody else."""
        self._sizes.pop(digest, None)

    async def make_room(self) -> None:
        """Let go of what was not used for longest, until the rest is as small as it must be.

        It may be too much since we were started with other limits, too. Raise `OSError` or `StorageError` if
        it cannot be removed.
        """
        async with self._making_room:
            await self._let_go(max(await self._total() - self._limit, self._quota.excess(0)))

    async def evict(self, digest: Digest) -> bool:
        """Let go of one blob now; False if somebody is at work with it.

        What was pushed too stays, but is no longer served as an upstream's. Raise `OSError`, `StorageError`.
        """
        async with self._making_room:
            path = None
            if not self._index.is_pushed(digest):
                path = self._blobs.take_out(digest)
                if path is None and self._blobs.is_pinned(digest):
                    return False
            self._sizes.pop(digest, None)
            try:
                await self._index.unlink_cached([digest])
            finally:
                await FILE_THREADS.run(self._quota.remove, [path] if path else [])
        return True

    def can_give_way(self, size: int) -> bool:
        """Whether the quota would have room for so many bytes, were all gone that may go."""
        excess = self._quota.excess(size)
        for digest, each in self._sizes.items():
            if excess <= 0:
                break
            if self._may_go(digest):
                excess -= each
        return excess <= 0

    async def give_way(self, size: int) -> None:
        """As `make_room`, until the quota has room for so many bytes; if that can be, else nothing goes."""
        async with self._making_room:
            if self.can_give_way(size):
                await self._let_go(self._quota.excess(size))

    async def _let_go(self, excess: int) -> None:
        """Of so many bytes, or a few more; of all that may go, if that is less."""
        if excess <= 0:
            return
        going = await self._in_order()
        while excess > 0:
            leaving, paths = self._take_out(going, excess)
            if not leaving:
                return
            try:  # at once: whoever fetches one again links it after this
                await self._index.unlink_cached(leaving)
            finally:
                await FILE_THREADS.run(self._quota.remove, paths)
            excess -= sum(leaving.values())

    def _take_out(self, going: Iterator[Digest], excess: int) -> tuple[dict[Digest, int], list[Path]]:
        """Make the next few invisible, with no pause in which somebody could begin to read or to link them.

        A crash after that leaves links without a blob, which are as good as none, and files that the
        collector takes for uploads without a session.
        """
        leaving: dict[Digest, int] = {}
        paths: list[Path] = []
        end = time.perf_counter() + _TURN
        while excess > 0 and len(leaving) < _SLICE and (not leaving or time.perf_counter() < end):
            digest = next(going, None)
            if digest is None:
                break
            if self._may_go(digest):  # still
                path = self._blobs.take_out(digest)
                leaving[digest] = self._sizes.pop(digest)
                excess -= leaving[digest]
                paths += [path] if path else []
        return leaving, paths

    async def _in_order(self) -> Iterator[Digest]:
        """Those that may go, first of all what is garbage anyway, then what is too large to stay."""
        garbage: list[Digest] = []
        too_large: list[Digest] = []
        others: list[Digest] = []
        async for digest, _ in self._all():
            if not self._may_go(digest):
                continue
            if not self._index.is_linked(digest):
                garbage.append(digest)
            elif self._is_too_large(digest):
                too_large.append(digest)
            else:
                others.append(digest)
        return chain(garbage, too_large, others)

    def _may_go(self, digest: Digest) -> bool:
        return (
            digest in self._sizes and not self._index.is_pushed(digest) and not self._blobs.is_pinned(digest)
        )

    async def _total(self) -> int:
        """Bytes of all that is only cached.

        What is too large to stay, but is being read, does not count: it goes later, and alone.
        """
        total = 0
        async for digest, size in self._all():
            is_to_go_later = self._is_too_large(digest) and self._blobs.is_pinned(digest)
            if not self._index.is_pushed(digest) and not is_to_go_later:
                total += size
        return total

    async def _all(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield all blobs and their sizes, the least recently used first, with turns for the loop."""
        for number, digest in enumerate(tuple(self._sizes)):
            if number % _LOOKED_AT == _LOOKED_AT - 1:
                await asyncio.sleep(0)
            size = self._sizes.get(digest)
            if size is not None:  # still
                yield digest, size

    def _is_too_large(self, digest: Digest) -> bool:
        return self._sizes[digest] > self._limit

    def _by_age(self, digests: set[Digest]) -> list[tuple[Digest, int]]:
        """Those that are here, the one first that was not used for longest. Blocks."""
        found: list[tuple[float, Digest, int]] = []
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                status = self._folder.blob(digest).stat()
                found.append((status.st_mtime, digest, status.st_size))
        return [(digest, size) for _, digest, size in sorted(found)]
