"""Finds corrupt blobs, whose bytes on disk do not match their digests, and stops serving them.

A corrupt blob is moved to the quarantine. If it is only cached, it is fetched again when a client requests
it. If it was pushed, it is missing until it is pushed again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenreg.concurrency import shielded
from brokenreg.oci.digests import Digest
from brokenreg.oci.sizes import format_size
from brokenreg.storage.blobs import BlobFile, BlobStore
from brokenreg.storage.cached_blobs import CachedBlobs
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.wording import counted

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from brokenreg.storage.objects.remote_blobs import RemoteBlobs

logger = logging.getLogger(__name__)

_PART = 1024 * 1024
"""Number of bytes that a thread reads and hashes at a time."""

_REST = 3.0
"""Seconds that a scrub waits for each second of work, so that it uses at most a quarter of a core."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of reading a whole blob: its size in bytes, and the digest of the file's content."""

    digest: Digest
    size: int
    found: Digest

    @property
    def is_intact(self) -> bool:
        return self.found == self.digest


class Integrity:
    """Checks the sizes of blobs when they are opened, and their digests on request."""

    def __init__(
        self,
        folder: DataFolder,
        index: Index,
        blobs: BlobStore,
        cache: CachedBlobs,
        objects: RemoteBlobs | None = None,
    ) -> None:
        """With `objects`, the blobs of the data folder are copies that can be fetched again."""
        self._objects = objects
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._cache = cache

    def open(self, digest: Digest) -> BlobFile | None:
        """Open a blob to serve it. Return None if it is missing, or if its size has changed on disk."""
        file = self._blobs.open(digest)
        stored = self._index.blob_size(digest)
        if file is None or stored is None or file.size == stored:
            return file
        with file:
            self.quarantine(digest, file, f"the file has {counted(file.size, 'byte')} instead of {stored}")
        return None

    def size(self, digest: Digest) -> int | None:
        """Return the size of a blob that `open` would return, or None. Opens the file only if necessary."""
        stored = self._index.blob_size(digest)
        if stored is not None and self._blobs.size(digest) == stored:
            return stored
        file = self.open(digest)
        if file is None:
            return None
        with file:
            return file.size

    def quarantine(self, digest: Digest, file: BlobFile, problem: str) -> None:
        """Log a corrupt blob and stop serving it, unless another file has replaced it."""
        if not self._blobs.quarantine(digest, file):
            return
        if self._objects is not None and self._index.intact_object(digest) is not None:
            self._objects.copies.gone(digest)
            logger.warning("the copy of blob %s is corrupt: %s; it is fetched again", digest, problem)
            return
        self._cache.gone(digest)
        logger.error(
            "blob %s is corrupt: %s; it is no longer served; %s", digest, problem, self._index.remedy(digest)
        )

    def why_missing(self, digest: Digest) -> str | None:
        """Return why a blob in the quarantine is not served and how to restore it, or None for others."""
        if not self.is_quarantined(digest):
            return None
        stored = self._index.objects.get(digest)
        if stored is not None:
            return f"{stored.problem}; it is no longer served; {self._index.remedy(digest)}"
        return f"it was corrupt on disk and is no longer served; {self._index.remedy(digest)}"

    def is_quarantined(self, digest: Digest) -> bool:
        """Return whether a blob was corrupt, and has not been stored again."""
        if self._blobs.size(digest) is not None:
            return False
        stored = self._index.objects.get(digest)
        if stored is not None:
            return bool(stored.problem)
        return self._blobs.quarantined_size(digest) is not None

    async def verify(
        self, digest: Digest, *, on_read: Callable[[int], None] = lambda _: None
    ) -> Finding | None:
        """Verify the digest of a blob, and quarantine it if it is corrupt. Return None if it is missing.

        If it is in an object store, verify the copy and then the object, whose result counts. `on_read` is
        called with the number of bytes read so far. Raise `OSError` or `ObjectStoreError` if the blob cannot
        be read.
        """
        finding = await self.verify_file(digest, on_read=on_read)
        stored = self._index.intact_object(digest)
        if self._objects is None or stored is None:
            return finding
        return Finding(digest, stored.size, await self._objects.downloads.verify(digest, stored, on_read))

    async def verify_file(
        self, digest: Digest, *, rest: float = 0.0, on_read: Callable[[int], None] = lambda _: None
    ) -> Finding | None:
        """Verify a blob of the data folder as `verify` does, but not its object.

        `rest` is the number of seconds to wait for each second of work.
        """
        file = self._blobs.open(digest)
        if file is None:
            return None
        with file:
            found = await digest_of(file.read_blocking, digest.algorithm, on_read, rest)
            finding = Finding(digest, file.size, found)
            if not finding.is_intact:
                self.quarantine(digest, file, f"its digest is {finding.found}")
        return finding

    async def scrub(self) -> None:
        """Verify all blobs slowly, one at a time, and log the result."""
        began = time.monotonic()
        stored = await FILE_THREADS.run(self._shuffled)
        count = size = failed = 0
        for digest in stored:
            try:
                finding = await self.verify_file(digest, rest=_REST)
            except OSError as error:
                failed += 1
                logger.error("blob %s cannot be read: %s", digest, error.strerror or error)  # noqa: TRY400
                continue
            if finding is not None:  # None: it was removed in the meantime
                count, size, failed = count + 1, size + finding.size, failed + (not finding.is_intact)
        logger.log(
            logging.WARNING if failed else logging.INFO,
            "verified %s, %s, in %.0f s: %s",
            counted(count, "blob"),
            format_size(size),
            time.monotonic() - began,
            f"{failed} corrupt or unreadable" if failed else "all intact",
        )

    def _shuffled(self) -> list[Digest]:
        """Return all blobs in random order, so that frequent restarts do not always skip the same. Blocks."""
        stored = list(self._folder.stored_digests())
        random.shuffle(stored)
        return stored

    async def run(self, interval: float) -> None:
        """Scrub now, and then every `interval` seconds, until cancelled."""
        while True:
            due = time.monotonic() + interval
            try:
                await self.scrub()
            except Exception:  # any error, because the next scrub may succeed
                logger.exception("cannot verify the blobs; trying again later")
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def digest_of(
    read: Callable[[int, int], bytes], algorithm: str, on_read: Callable[[int], None], rest: float = 0.0
) -> Digest:
    """Return the digest of the content that `read` returns by offset and length. `read` may block.

    `on_read` is called with the number of bytes read so far. `rest` is the number of seconds to wait for each
    second of work. After this has returned or was cancelled, no thread calls `read`.
    """
    hasher = hashlib.new(algorithm)
    offset = 0
    while True:
        began = time.monotonic()
        count = await shielded(FILE_THREADS.run(_hash_part, read, offset, hasher))
        if not count:
            return Digest.from_hash(hasher)
        offset += count
        on_read(offset)
        if rest:
            await asyncio.sleep(rest * (time.monotonic() - began))


def _hash_part(read: Callable[[int, int], bytes], offset: int, hasher: Hash) -> int:
    """Hash the next part and return its size in bytes, 0 at the end."""
    part = read(offset, _PART)
    hasher.update(part)
    return len(part)
