"""Stores received blobs in the object store.

An object keeps the key of the upload session in which it was received, and the index maps the digest to the
key once the digest is verified. Therefore an object never has to be copied or renamed.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

from brokenreg.concurrency import paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.changes import BlobLinked
from brokenreg.storage.errors import CorruptBlobError
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.index import Index
from brokenreg.storage.objects.complete_file import CompleteFile
from brokenreg.storage.objects.garbage import FOLDER, ObjectGarbage
from brokenreg.storage.objects.growing_object import GrowingObject, SharedSending
from brokenreg.storage.objects.local_copies import LocalCopies
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.storage.records import StoredObject
from brokenreg.storage.uploads.upload_session import UploadSession
from brokenreg.wording import counted

logger = logging.getLogger(__name__)


class ObjectUploads:
    """Sends upload sessions to the object store, and links what is complete."""

    def __init__(
        self, store: ObjectStore, index: Index, blobs: BlobStore, copies: LocalCopies, garbage: ObjectGarbage
    ) -> None:
        self._store = store
        self._index = index
        self._blobs = blobs
        self._copies = copies
        self._garbage = garbage
        self.shared_sending = SharedSending(store)
        self._sending_stored = asyncio.Lock()

    def growing(self, upload_id: str, path: Path | str) -> GrowingObject:
        """Return the object of a session, to which bytes are sent while they arrive."""
        return GrowingObject(self.shared_sending, f"{FOLDER}/{upload_id}", path)

    async def keep(self, upload: UploadSession, digest: Digest) -> None:
        """Complete the object of a verified session, link it, and keep the file as a copy.

        Raise `ObjectStoreError` if the store fails. The session can be finished again then.
        """
        while not await self._link(upload, digest, await self._complete(upload, digest)):
            logger.info("the object of %s was removed while the blob was pushed again", digest)
        await self.keep_copy(upload, digest)

    async def keep_copy(self, upload: UploadSession, digest: Digest) -> None:
        """Keep the file of a verified session as a copy, if that is possible."""
        try:
            await upload.adopt_into(self._blobs, digest)
        except OSError as error:
            logger.warning("cannot keep a copy of %s: %s", digest, error.strerror or error)
        else:
            self._copies.used(digest, upload.offset)

    async def send_stored(self) -> None:
        """Send the blobs of the data folder that are not in the store: it was used without one before."""
        async with self._sending_stored:
            await self._send_missing()

    async def _send_missing(self) -> None:
        missing: set[Digest] = set()
        async for repository in paced(list(self._index.repositories.values())):
            missing.update(each for each in repository.links if self._index.intact_object(each) is None)
        stored = await FILE_THREADS.run(self._in_folder, missing)
        if stored:
            logger.info("sending %s to %s", counted(len(stored), "blob"), self._store.location)
        for digest in stored:
            with self._blobs.pin(digest):
                try:
                    size = await self.send(digest)
                except CorruptBlobError as error:
                    logger.error("%s; it was not sent", error)  # noqa: TRY400 - the line says everything
                    continue
            if size is not None:
                self._copies.used(digest, size)

    def _in_folder(self, digests: Collection[Digest]) -> list[Digest]:
        """Return those that the data folder has. Blocks."""
        return [digest for digest in digests if self._blobs.size(digest) is not None]

    async def send(self, digest: Digest, on_read: Callable[[int], None] = lambda _: None) -> int | None:
        """Send a blob of the data folder to the store. Return its size in bytes, or None if it is missing.

        `on_read` is called with the number of bytes that are being sent or were sent. Raise
        `ObjectStoreError`, or `CorruptBlobError` if what was sent has another digest.
        """
        size = self._blobs.size(digest)
        if size is None:
            return None
        path = self._blobs.path(digest)
        file = CompleteFile(
            self.shared_sending, f"{FOLDER}/{uuid.uuid4().hex}", path, digest.algorithm, on_read
        )
        key = await file.complete(size)
        if file.digest() != digest:
            await self._garbage.delete([key])
            raise CorruptBlobError(digest, file.digest())
        await self._index.add_object(digest, StoredObject(key, size, time.time()))
        return size

    async def _complete(self, upload: UploadSession, digest: Digest) -> StoredObject | None:
        """Return the complete object, or None if the blob already has an intact one."""
        assert upload.growing_object is not None  # noqa: S101 - for the type checker
        if self._index.intact_object(digest) is not None:
            upload.growing_object.abort()
            return None
        key = await upload.growing_object.complete(upload.offset)
        return StoredObject(key, upload.offset, time.time())

    async def _link(self, upload: UploadSession, digest: Digest, new: StoredObject | None) -> bool:
        """Link the blob. Return False if its existing object was removed in the meantime."""
        link = BlobLinked(upload.row.key, digest, time.time(), upload.offset, upload.row.id)
        linked = await self._index.link_object(link, new)
        if new is not None and linked is not None and linked.key != new.key:  # another push was faster
            await self._garbage.delete([new.key])
        return linked is not None
