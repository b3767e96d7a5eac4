"""Opens and closes everything that an object store needs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.objects.garbage import ObjectGarbage
from brokenreg.storage.objects.local_copies import LocalCopies
from brokenreg.storage.objects.object_downloads import ObjectDownloads
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.storage.objects.object_uploads import ObjectUploads
from brokenreg.storage.quota import Quota
from brokenreg.storage.records import StoredObject
from brokenreg.storage.uploads.upload_store import UploadStore

REDIRECT_SECONDS = 300.0
"""Lifetime of a signed URL."""


class RemoteBlobs:
    """The blobs in an object store. The data folder has copies of some of them."""

    downloads: ObjectDownloads

    def __init__(
        self,
        store: ObjectStore,
        folder: DataFolder,
        index: Index,
        blobs: BlobStore,
        quota: Quota,
        redirects: bool,
    ) -> None:
        self.store = store
        self.redirects = redirects
        """Whether clients are sent to the object store to read blobs."""
        self._index = index
        self._blobs = blobs
        self.copies = LocalCopies(folder, index, blobs, quota)
        self.garbage = ObjectGarbage(store, index)
        self.uploads = ObjectUploads(store, index, blobs, self.copies, self.garbage)

    @contextlib.asynccontextmanager
    async def running(self, uploads: UploadStore) -> AsyncIterator[None]:
        """Find the copies, and allow transfers. Leaving the block ends all transfers."""
        self.downloads = ObjectDownloads(self.store, self._index, self._blobs, self.copies, uploads)
        await self.copies.load()
        try:
            yield
        finally:
            await self.downloads.close()
            uploads.stop_sending()
            await self.uploads.shared_sending.close()

    async def signed_url(self, stored: StoredObject) -> str:
        """Return a URL with which anyone can read the object for 5 minutes. Raise `ObjectStoreError`."""
        return await self.store.sign(stored.key, REDIRECT_SECONDS)
