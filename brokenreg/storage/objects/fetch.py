"""Fetches a blob from the object store into the data folder, while any number of clients read it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from brokenreg.concurrency import cancel
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.blob_download import BlobDownload, Overflow
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import ObjectMissingError, ObjectStoreError
from brokenreg.storage.objects.memory_budget import MemoryBudget
from brokenreg.storage.objects.object_store import AGAIN, PART, ObjectStore
from brokenreg.storage.records import StoredObject
from brokenreg.storage.uploads.upload_store import UploadStore

logger = logging.getLogger(__name__)

_FIRST = 1024 * 1024
"""Number of bytes that are read first. It is small because clients are waiting for them."""

_AHEAD = 2
"""Number of parts that are read while another one is written."""

_RANGES = (64 * 1024, 256 * 1024, 1024 * 1024)
"""Number of bytes that are read at a time for one client: the minimum, the first and the maximum."""

_SLOW = 0.5
"""Seconds after which a client that has not received such a range is slow."""

_MOST_FAILURES = 3
"""Maximum number of consecutive failed reads of one fetch. obstore has repeated each of them already."""


class Fetch(BlobDownload):
    """The transfer of one object."""

    def __init__(
        self,
        store: ObjectStore,
        memory: MemoryBudget,
        uploads: UploadStore,
        blobs: BlobStore,
        digest: Digest,
        stored: StoredObject,
        remedy: str,
    ) -> None:
        """`remedy` says in messages how the blob can be served again if the store has lost it."""
        super().__init__(digest, str(store.location), uploads, uploads.start_copy(digest.algorithm))
        self.size = stored.size
        self.is_missing = False
        """Whether the store has no such object."""
        self.found: Digest | None = None
        """The digest of the content, if it is wrong."""
        self._store = store
        self._memory = memory
        self._blobs = blobs
        self._stored = stored
        self._remedy = remedy

    async def ended(self) -> None:
        """Wait until the blob is in the data folder. Raise `OCIError` if it does not arrive."""
        while not self._ended:
            await self._changed.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def _receive(self) -> None:
        try:
            async with aclosing(self._parts()) as parts:
                async for part in parts:
                    await self._upload.grow(_only(part), self._notify)
        except ObjectMissingError as error:
            self.is_missing = True
            raise lost(error, self._remedy) from error

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the object in parts, while the next ones are read. Their memory is reserved until then."""
        reading: deque[asyncio.Task[bytes]] = deque()
        begin, end = 0, min(_FIRST, self._stored.size)
        try:
            while begin < self._stored.size or reading:
                while begin < self._stored.size and len(reading) <= _AHEAD:
                    name = f"reading {self._stored.key}"
                    reading.append(asyncio.create_task(self._read(begin, end), name=name))
                    begin, end = end, min(end + PART, self._stored.size)
                part = await reading[0]
                self._begin()
                yield part
                reading.popleft()
                self._memory.give_back(len(part))
        finally:
            await cancel(*reading)
            for each in reading:
                if not each.cancelled() and each.exception() is None:
                    self._memory.give_back(len(each.result()))
        self._begin()

    async def _read(self, begin: int, end: int) -> bytes:
        """Return a part, for which memory stays reserved."""
        await self._memory.take(end - begin)
        try:
            return await read_patiently(self._store, self._stored.key, begin, end)
        except BaseException:
            self._memory.give_back(end - begin)
            raise

    def _begin(self) -> None:
        """Let clients read. Before this, a failure causes an error response."""
        if not self._begun:
            self._begun = True
            self._notify()

    def _digest_error(self, received: Digest) -> ObjectStoreError:
        self.found = received
        problem = f"its content has the digest {received}, not {self._digest}"
        return self._store.error("read", self._stored.key, problem)

    async def _keep(self) -> None:
        with self._blobs.pin(self._digest):
            await self._upload.adopt_into(self._blobs, self._digest)
        self._uploads.forget(self._upload)

    def _note_not_kept(self, error: BaseException) -> None:
        logger.warning("the data folder is full: %s is sent but not kept in it", self._digest)

    async def _after(self, overflow: Overflow, begin: int, end: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes that are not in the file. The last byte of the blob follows its verification."""
        hasher, position, last = overflow.hasher.copy(), overflow.kept, b""
        stop = self._stored.size if end is None else end
        async with aclosing(ranges(self._store, self._stored, position, self._stored.size)) as chunks:
            async for chunk in chunks:
                hasher.update(chunk)
                data = last + chunk
                ready, last = data[:-1], data[-1:]
                selected = ready[max(0, begin - position) : max(0, stop - position)]
                position += len(ready)
                if selected:
                    yield selected
        received = Digest.from_hash(hasher)
        if received != self._digest:
            raise self._digest_error(received)
        if begin <= position < stop:
            yield last

    def _release(self) -> None:
        """Do nothing: the quota counts the file."""


def lost(error: ObjectMissingError, remedy: str) -> OCIError:
    """Return the response for a blob whose object the store does not have."""
    return OCIError(404, ErrorCode.BLOB_UNKNOWN, f"{error}; {remedy}")


async def _only(part: bytes) -> AsyncIterator[bytes]:
    yield part


async def ranges(
    store: ObjectStore, stored: StoredObject, begin: int, end: int
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an object from `begin` to `end`, which are not verified. Raise `ObjectStoreError`.

    One range is read ahead. A slow client gets small ones, so that many of them need little memory.
    """
    reading: asyncio.Task[bytes] | None = None
    size = _RANGES[1]
    try:
        while begin < end:
            stop = min(begin + size, end)
            chunk = await (reading or read_patiently(store, stored.key, begin, stop))
            begin += len(chunk)
            began = time.monotonic()
            if begin < end:
                following = read_patiently(store, stored.key, begin, min(begin + size, end))
                reading = asyncio.create_task(following, name=f"reading {stored.key}")
            yield chunk
            is_slow = time.monotonic() - began > _SLOW
            size = max(_RANGES[0], size // 4) if is_slow else min(_RANGES[2], size * 2)
    finally:
        if reading is not None:
            await cancel(reading)


async def read_patiently(store: ObjectStore, key: str, begin: int, end: int) -> bytes:
    """Return bytes of an object. A read that was cut is repeated. Raise `ObjectStoreError`."""
    failures, until = 0, time.monotonic() + AGAIN
    while True:
        try:
            return await store.read(key, begin, end)
        except ObjectMissingError:
            raise
        except ObjectStoreError as error:
            failures += 1
            if failures == _MOST_FAILURES or time.monotonic() > until:
                raise
            logger.info("%s; trying again", error)
