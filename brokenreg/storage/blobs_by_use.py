"""Blobs in the order of their last use, to remove the least recently used when room is needed."""

from __future__ import annotations

import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.quota import Quota

_SLICE = 128
"""Maximum number of blobs that are removed before other tasks run."""

_TURN = 0.004
"""Maximum seconds of renaming files before other tasks run: a busy disk takes milliseconds for each."""


class BlobsByUse:
    """The sizes of blobs, the least recently used first, and the files of those that the folder has.

    The files' modification times keep the order after a restart.
    """

    def __init__(
        self, folder: DataFolder, blobs: BlobStore, quota: Quota, may_remove: Callable[[Digest], bool]
    ) -> None:
        """`may_remove` returns whether a blob can be removed now."""
        self.sizes: OrderedDict[Digest, int] = OrderedDict()
        self._folder = folder
        self._blobs = blobs
        self._quota = quota
        self._may_remove = may_remove

    async def load(self, digests: Iterable[Digest]) -> None:
        """Add those that the data folder has. `digests` is iterated in a thread."""
        self.sizes.update(await FILE_THREADS.run(_by_age, self._folder, digests))

    def used(self, digest: Digest, size: int, *, has_file: bool = True) -> None:
        """Mark a blob as just used. With `has_file`, mark its file too, or do nothing if that is missing."""
        if has_file:
            try:
                os.utime(self._folder.blob(digest))
            except FileNotFoundError:  # it was removed in the meantime
                return
        self.sizes[digest] = size
        self.sizes.move_to_end(digest)

    def gone(self, digest: Digest) -> None:
        """Stop counting a blob that was removed elsewhere."""
        self.sizes.pop(digest, None)

    def can_give_way(self, size: int) -> bool:
        """Return whether removing all removable blobs would make room for `size` bytes."""
        excess = self._quota.excess(size)
        for digest, each in self.sizes.items():
            if excess <= 0:
                break
            if self._may_remove(digest):
                excess -= each
        return excess <= 0

    def take_out(self, candidates: Iterator[Digest], excess: int) -> tuple[dict[Digest, int], list[Path]]:
        """Rename the next few blobs, without a pause in which they could be read or linked.

        Return their sizes, of at least `excess` bytes if that does not take long, and their new paths. After
        a crash, renamed files may remain, which the collector removes like uploads without a session.
        """
        removed: dict[Digest, int] = {}
        paths: list[Path] = []
        end = time.perf_counter() + _TURN
        while excess > 0 and len(removed) < _SLICE and (not removed or time.perf_counter() < end):
            digest = next(candidates, None)
            if digest is None:
                break
            if digest in self.sizes and self._may_remove(digest):  # neither pinned nor linked since
                path = self._blobs.take_out(digest)
                removed[digest] = self.sizes.pop(digest)
                excess -= removed[digest]
                paths += [path] if path else []
        return removed, paths


def _by_age(folder: DataFolder, digests: Iterable[Digest]) -> list[tuple[Digest, int]]:
    """Return the existing blobs with their sizes, least recently used first. Blocks."""
    found: list[tuple[float, Digest, int]] = []
    for digest in digests:
        with contextlib.suppress(FileNotFoundError):
            status = folder.blob(digest).stat()
            found.append((status.st_mtime, digest, status.st_size))
    return [(digest, size) for _, digest, size in sorted(found)]
