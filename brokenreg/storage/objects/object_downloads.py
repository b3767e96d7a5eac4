"""Reads blobs from the object store that have no copy in the data folder."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable

from brokenreg.concurrency import cancel
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError, shutting_down
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import ObjectMissingError, ObjectStoreError, OtherPlaceError
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.index import Index
from brokenreg.storage.objects.fetch import Fetch, lost, ranges, read_patiently
from brokenreg.storage.objects.local_copies import LocalCopies
from brokenreg.storage.objects.memory_budget import MemoryBudget
from brokenreg.storage.objects.object_store import PART, ObjectStore
from brokenreg.storage.records import StoredObject
from brokenreg.storage.uploads.upload_store import UploadStore

logger = logging.getLogger(__name__)


_MEMORY = 64 * 1024 * 1024
"""Maximum number of bytes that all fetches have in memory."""

_LOST = "the object store has lost it"


class ObjectDownloads:
    """Fetches of whole blobs, which their readers share, and reads of ranges. `close` ends all fetches."""

    def __init__(
        self, store: ObjectStore, index: Index, blobs: BlobStore, copies: LocalCopies, uploads: UploadStore
    ) -> None:
        self._store = store
        self._index = index
        self._blobs = blobs
        self._copies = copies
        self._uploads = uploads
        self._memory = MemoryBudget(_MEMORY)
        self._fetches: dict[Digest, Fetch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wrong: dict[Digest, Digest] = {}
        """The wrong digests of the last fetches, by the expected one."""
        self._is_closed = False

    def fetch(self, digest: Digest, stored: StoredObject) -> Fetch:
        """Return the running fetch of a blob, or start one. Read it within `reading`."""
        fetch = self._fetches.get(digest)
        if fetch is None:
            if self._is_closed:
                raise shutting_down()
            fetch = Fetch(
                self._store,
                self._memory,
                self._uploads,
                self._blobs,
                digest,
                stored,
                self._index.remedy(digest),
            )
            self._fetches[digest] = fetch
            task = asyncio.create_task(self._run(digest, stored, fetch), name=f"fetching {digest}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return fetch

    def has_begun(self, digest: Digest, offset: int) -> bool:
        """Return whether a fetch has received the byte at `offset`."""
        fetch = self._fetches.get(digest)
        return fetch is not None and fetch.has(offset)

    async def fetch_whole(self, digest: Digest, stored: StoredObject) -> None:
        """Fetch a blob into the data folder. Raise `ObjectStoreError`."""
        fetch = self.fetch(digest, stored)
        with fetch.reading():
            try:
                await fetch.ended()
            except OCIError as error:
                raise ObjectStoreError(error.message) from error

    async def open_range(
        self, digest: Digest, stored: StoredObject, begin: int, end: int
    ) -> AsyncGenerator[bytes, None]:
        """Return the bytes of a range, which are not verified, once the first of them have arrived.

        Raise `ObjectStoreError`, or `OCIError` 404 if the object is lost.
        """
        chunks = ranges(self._store, stored, begin, end)
        try:
            first = await anext(chunks)
        except ObjectMissingError as error:
            await self._condemn(digest, stored, _LOST)
            raise lost(error, self._index.remedy(digest)) from error

        async def all_chunks() -> AsyncGenerator[bytes, None]:
            try:
                yield first
                async for chunk in chunks:
                    yield chunk
            finally:
                await chunks.aclose()

        return all_chunks()

    async def verify(self, digest: Digest, stored: StoredObject, on_read: Callable[[int], None]) -> Digest:
        """Read the object, and return the digest of its content. Condemn it if that is wrong.

        Raise `ObjectStoreError`. `on_read` is called with the number of bytes read so far.
        """
        hasher = hashlib.new(digest.algorithm)
        offset = 0
        while offset < stored.size:
            part = await read_patiently(self._store, stored.key, offset, min(offset + PART, stored.size))
            await FILE_THREADS.run(hasher.update, part)
            offset += len(part)
            on_read(offset)
        found = Digest.from_hash(hasher)
        if found != digest:
            await self._condemn(digest, stored, f"its object has the digest {found}")
        return found

    async def close(self) -> None:
        """End all fetches, and refuse new ones."""
        self._is_closed = True
        await cancel(*self._tasks)

    async def _run(self, digest: Digest, stored: StoredObject, fetch: Fetch) -> None:
        """Run a fetch. It continues after all clients have disconnected: others will want the blob."""
        try:
            await fetch.run()
        finally:
            del self._fetches[digest]
        if fetch.is_kept:
            self._copies.used(digest, stored.size)
            self._wrong.pop(digest, None)
        elif fetch.is_missing:
            await self._condemn(digest, stored, _LOST)
        elif fetch.found is not None:
            await self._note_wrong(digest, stored, fetch.found)

    async def _note_wrong(self, digest: Digest, stored: StoredObject, found: Digest) -> None:
        """Condemn an object that had the same wrong content twice: once may be an error of the network."""
        if self._wrong.pop(digest, None) == found:
            await self._condemn(digest, stored, f"its object has the digest {found}")
        else:
            self._wrong[digest] = found

    async def _condemn(self, digest: Digest, stored: StoredObject, problem: str) -> None:
        """Stop serving a blob until it is pushed or fetched from its upstream again."""
        try:
            await self._index.condemn_object(digest, stored.key, problem)
        except OtherPlaceError as error:  # the object is intact, but in another store
            logger.error("cannot read blob %s: %s", digest, error)  # noqa: TRY400 - the line says everything
        else:
            remedy = self._index.remedy(digest)
            logger.error("blob %s is corrupt: %s; it is no longer served; %s", digest, problem, remedy)
