"""Removes garbage: unreferenced blobs, cached blobs beyond the limit, and abandoned upload sessions.

A blob is referenced if a repository has a link to it. The link stays while a manifest mentions the blob. The
age of a file is derived from its modification time, which survives restarts and crashes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from brokenreg.concurrency import paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.cached_blobs import CachedBlobs
from brokenreg.storage.errors import StorageError
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import Repository, is_cache
from brokenreg.storage.shared.leases import BEAT, LOST, Lease
from brokenreg.storage.uploads.upload_store import UploadStore

if TYPE_CHECKING:
    from brokenreg.storage.objects.remote_blobs import RemoteBlobs

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

BLOB_AGE = 24 * 3600.0
MANIFEST_AGE = 24 * 3600.0
UPLOAD_AGE = 3600.0
INTERVAL = 3600.0

_CLOCKS_DIFFER = 3600.0
"""Maximum number of seconds that a recorded time may be in the future before it is corrected."""

_TAKE_OVER = (LOST + 2) * BEAT
"""Seconds in which a lost process is noticed."""

_SLICE = 256
"""Number of sessions or blobs that are handled together."""


class Collector:
    """Removes garbage at startup and every hour. It never removes content that is in use."""

    def __init__(
        self,
        folder: DataFolder,
        index: Index,
        blobs: BlobStore,
        uploads: UploadStore,
        cache: CachedBlobs,
        quota: Quota,
        objects: RemoteBlobs | None = None,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._uploads = uploads
        self._cache = cache
        self._quota = quota
        self._lease: Lease | None = None
        self._taking = asyncio.Lock()

    async def run(self) -> None:
        """Collect now, and then every hour, until cancelled."""
        while True:
            try:
                await self.collect()
            except (OSError, StorageError) as error:
                logger.warning("garbage collection failed: %s; trying again in an hour", error)
            except Exception:  # any error, because without a collector the garbage would stay
                logger.exception("garbage collection failed; trying again in an hour")
            await asyncio.sleep(INTERVAL)

    async def collect(self, *, now: float | None = None) -> None:
        """Make room in the cache, and remove garbage that is old enough at `now` (seconds since 1970)."""
        now = time.time() if now is None else now
        await self._cache.make_room()  # first: the index may need room to delete the rest
        await self._index.catch_up()  # what another process has just linked is not garbage
        await self._correct_times(now)
        await self._drop_uploads(now - UPLOAD_AGE)
        collects_for_all = await self._collects_for_all()
        if collects_for_all:
            await self._drop_manifests(now - MANIFEST_AGE)
            await self._drop_links(now - BLOB_AGE)
        await self._drop_blobs(now - BLOB_AGE)
        await self._drop_quarantined()
        if self._objects is not None:
            await self._objects.uploads.send_stored()
            if collects_for_all:
                await self._objects.garbage.collect(now, now - BLOB_AGE)

    async def _collects_for_all(self) -> bool:
        """Return whether this process removes the garbage of all that share the index.

        The first that collects does so until its end. Others take over if it is lost.
        """
        if not self._index.is_shared:
            return True
        leases = self._index.leases
        async with self._taking:
            if self._lease is None or not leases.is_held(self._lease):
                self._lease = await leases.take("garbage", _TAKE_OVER)
            return self._lease is not None

    async def _correct_times(self, now: float) -> None:
        """Set times in the future to `now`, because garbage would be kept until then."""
        ahead = now + _CLOCKS_DIFFER
        async for key, repository in paced(list(self._index.repositories.items())):
            if any(when > ahead for when in chain(repository.links.values(), repository.requested.values())):
                await self._index.correct_times(key, now)
        await FILE_THREADS.run(self._folder.correct_times, ahead, now)

    async def _drop_uploads(self, before: float) -> None:
        """Remove sessions unused since `before`, files without a session, and sessions without a file."""
        files = await FILE_THREADS.run(lambda: set(self._folder.stored_uploads()))
        async for some in paced(_slices(list(files | self._index.uploads.keys()))):
            stale = [upload_id for upload_id in some if self._is_stale(upload_id, before)]
            if stale:
                await self._uploads.remove(stale)

    def _is_stale(self, upload_id: str, before: float) -> bool:
        if self._uploads.is_claimed(upload_id):
            return False
        return upload_id not in self._index.uploads or self._touched(upload_id) < before

    def _touched(self, upload_id: str) -> float:
        try:
            return self._folder.upload(upload_id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def _drop_manifests(self, before: float) -> None:
        """Remove cached manifests whose tag has moved and whose blobs were removed."""
        async for key, repository in paced(list(self._index.repositories.items())):
            if is_cache(key):
                for digest in await asyncio.to_thread(repository.copy().left_over, before):
                    if repository.requested.get(digest, before) < before:  # not requested since
                        await self._index.delete_manifest(key, digest, stored_before=before)

    async def _drop_links(self, before: float) -> None:
        async for key, repository in paced(list(self._index.repositories.items())):
            unused = {digest for digest, linked in repository.links.items() if linked < before}
            if unused:
                await _drop_mentioned(unused, repository)
            if unused:  # the transaction checks again: the time of a request for an old blob is written
                await self._index.unlink_blobs(key, unused, unused_since=before)

    async def _drop_blobs(self, before: float) -> None:
        stored = await FILE_THREADS.run(lambda: list(self._folder.stored_digests()))
        doomed = []
        async for digest in paced(stored):
            modified = self._blobs.modified(digest)
            # There is no await from here to the rename, so that no push links the blob in between.
            if not self._index.is_linked(digest) and modified is not None and modified < before:
                path = self._blobs.take_out(digest)
                if path is not None:
                    self._cache.gone(digest)
                    if self._objects is not None:
                        self._objects.copies.gone(digest)
                    doomed.append(path)
        await FILE_THREADS.run(self._quota.remove, doomed)

    async def _drop_quarantined(self) -> None:
        """Delete corrupt blobs that can be fetched again. Pushed ones stay: they may be the only copy."""
        corrupt = await FILE_THREADS.run(lambda: list(self._folder.quarantined_digests()))
        for some in _slices(corrupt):
            doomed = [self._folder.quarantined(each) for each in some if self._is_elsewhere(each)]
            await FILE_THREADS.run(self._quota.remove, doomed)

    def _is_elsewhere(self, digest: Digest) -> bool:
        """Return whether a corrupt blob can be fetched again."""
        return not self._index.is_pushed(digest) or self._index.intact_object(digest) is not None


def _slices(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[start : start + _SLICE] for start in range(0, len(items), _SLICE))


async def _drop_mentioned(digests: set[Digest], repository: Repository) -> None:
    """Remove the digests that a manifest of the repository mentions from `digests`."""
    async for manifest in paced(tuple(repository.manifests.values())):
        digests.difference_update(Digest(name) for name in manifest.facts.names)
