"""Sends the blobs of a data folder to the object store, and verifies that all have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from brokenreg.concurrency import cancel, paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import CorruptBlobError, ObjectStoreError
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.imports.progress import ContentCounts, Progress
from brokenreg.storage.index import Index
from brokenreg.storage.objects.garbage import FOLDER
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.storage.objects.object_uploads import ObjectUploads
from brokenreg.storage.objects.remote_blobs import RemoteBlobs
from brokenreg.storage.quota import Quota
from brokenreg.wording import counted

_TOGETHER = 4
"""Number of blobs that are sent in parallel."""


class BlobCopy:
    """Sends the blobs that `target` does not know yet. It must have the links of `source` already."""

    def __init__(
        self,
        folder: DataFolder,
        target: Index,
        store: ObjectStore,
        progress: Progress,
        content: ContentCounts,
    ) -> None:
        quota = Quota(None)
        blobs = BlobStore(folder, quota)
        remote = RemoteBlobs(store, folder, target, blobs, quota, redirects=False)
        self._uploads: ObjectUploads = remote.uploads
        self._target = target
        self._store = store
        self._progress = progress
        self._content = content
        self._sending: dict[Digest, int] = {}

    async def run(self, stored: dict[Digest, int]) -> None:
        """Send the blobs in `stored` (with their sizes) that have no object yet. Raise `ObjectStoreError`."""
        wanted = {
            digest: size
            async for digest, size in paced(stored.items())
            if self._target.intact_object(digest) is None
        }
        self._progress.begin("Sending blobs", len(wanted), sum(wanted.values()))
        waiting = iter(wanted)
        tasks = [asyncio.create_task(self._send_each(waiting)) for _ in range(_TOGETHER)]
        try:
            await asyncio.gather(*tasks)
        finally:
            await cancel(*tasks)
            await self._uploads.shared_sending.close()

    async def _send_each(self, waiting: Iterator[Digest]) -> None:
        for digest in waiting:
            try:
                size = await self._uploads.send(digest, partial(self._note, digest))
            except CorruptBlobError as error:
                self._content.problems.append(f"{error}; it was not sent")
            else:
                self._content.sent += 1
                self._content.sent_size += size or 0
            self._progress.done += 1

    def _note(self, digest: Digest, sent: int) -> None:
        """Note how much of a blob was sent. After a failure, it is less than before."""
        self._progress.sent += sent - self._sending.get(digest, 0)
        self._sending[digest] = sent

    async def verify(self) -> None:
        """Compare the sizes of all objects with the index. Raise `ObjectStoreError`.

        What is lost or has another size is marked in the index, so that it can be sent again.
        """
        self._progress.begin("Verifying objects", len(self._target.objects))
        sizes = {}
        async for page in self._store.list(FOLDER):
            sizes.update({each.key: each.size for each in page})
        wrong = 0
        for digest, stored in list(self._target.objects.items()):
            self._progress.done += 1
            if not stored.problem and sizes.get(stored.key) != stored.size:
                await self._target.condemn_object(digest, stored.key, "its object was lost")
                wrong += 1
        if wrong:
            raise ObjectStoreError(
                f"the object store {self._store.location} has lost {counted(wrong, 'object')}"
            )


async def stored_blobs(folder: DataFolder, source: Index) -> dict[Digest, int]:
    """Return the sizes of all blobs in the folder that a repository links to, in bytes."""
    linked: set[Digest] = set()
    async for repository in paced(list(source.repositories.values())):
        linked.update(repository.links)
    blobs = BlobStore(folder, Quota(None))

    def sizes() -> dict[Digest, int]:
        found = ((digest, blobs.size(digest)) for digest in linked)
        return {digest: size for digest, size in found if size is not None}

    return await FILE_THREADS.run(sizes)
