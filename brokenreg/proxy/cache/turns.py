"""Lets one process download a blob for all that share the database and the object store.

The others read what has arrived there, or what is in the object store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Protocol

from brokenreg.concurrency import cancel
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.proxy.cache.download import BlobResponse
from brokenreg.storage import Store
from brokenreg.storage.errors import ObjectStoreError, StorageError
from brokenreg.storage.records import RepositoryKey, StoredObject
from brokenreg.storage.shared.leases import Lease, replica_of

logger = logging.getLogger(__name__)

STALLED = 20.0
"""Seconds without progress after which a download may be done by another process."""


class DownloadLostError(Exception):
    """The download of another process cannot be read, or not to its end."""

    def __init__(self, message: str, *, has_ended: bool = False) -> None:
        """`has_ended` says that the other process has certainly ended."""
        super().__init__(message)
        self.has_ended = has_ended


class ReplicaDownloads(Protocol):
    """Reads the running downloads of other processes."""

    def open(
        self, replica: str, key: RepositoryKey, digest: Digest, offset: int
    ) -> AbstractAsyncContextManager[BlobResponse]:
        """Read a blob from `offset` on. Raise `DownloadLostError`. The chunks raise it too."""


class DownloadTurns:
    """Decides which process downloads a blob. Without `replicas`, the others wait until it is stored."""

    def __init__(self, store: Store, replicas: ReplicaDownloads | None = None) -> None:
        self._store = store
        self._replicas = replicas
        self._are_needed = store.objects is not None and store.index.is_shared

    def turn(self, key: RepositoryKey, digest: Digest) -> DownloadTurn | None:
        """Return the turn of a download; None if no other process can download the blob for this one."""
        return DownloadTurn(self._store, self._replicas, key, digest) if self._are_needed else None


class DownloadTurn:
    """The turn of one download. `end` it after the download.

    This process waits for a lease in the background, while it reads what the holder of the lease downloads.
    """

    def __init__(
        self, store: Store, replicas: ReplicaDownloads | None, key: RepositoryKey, digest: Digest
    ) -> None:
        self._store = store
        self._leases = store.index.leases
        self._replicas = replicas
        self._key = key
        self._digest = digest
        self._name = " ".join(("download", *key, digest))
        self._lease: Lease | None = None
        self._taking: asyncio.Task[None] | None = None
        self._holder = ""
        self._followed = ""
        """Who had the lease when the last source was opened. Another process may have taken it since."""
        self._looked = asyncio.Event()

    def begin(self, is_active: Callable[[], bool]) -> None:
        """Begin to take the lease. It is renewed while `is_active` returns True."""
        self._taking = asyncio.create_task(self._take(is_active), name=f"waiting for {self._name}")
        self._taking.add_done_callback(lambda _: self._looked.set())

    @property
    def has_lease(self) -> bool:
        """Whether this process downloads the blob for the others."""
        return self._lease is not None

    async def end(self) -> None:
        """Let another process download the blob, if this one did not succeed."""
        if self._taking is not None:
            await cancel(self._taking)
        if self._lease is not None:
            await self._leases.end(self._lease)

    async def sources(
        self, offset: Callable[[], int]
    ) -> AsyncGenerator[AbstractAsyncContextManager[BlobResponse], None]:
        """Yield where to read the blob from `offset` on, until it is the turn of this process to download it.

        The caller ends the iteration once it has the whole blob.
        """
        while (holder := await self._next_holder()) is not None:
            replica = replica_of(holder)
            if replica and self._replicas is not None:
                self._followed = holder
                yield self._replicas.open(replica, self._key, self._digest, offset())
        if (stored := self._stored()) is not None:
            yield self._open_stored(stored, offset())

    async def note_lost(self, error: DownloadLostError) -> None:
        """Let a process take the lease immediately if the one that had it has ended."""
        if error.has_ended:
            await self._leases.end_lost(self._name, self._followed)

    async def is_stored(self) -> bool:
        """Return whether the object store has the blob, once no other process is storing it."""
        while await self._next_holder() is not None:
            pass
        return self._stored() is not None

    async def _next_holder(self) -> str | None:
        """Return who has the lease, after looking again. Return None if nobody else downloads the blob."""
        await self._looked.wait()
        if self._taking is None or self._taking.done():
            return None
        self._looked.clear()
        return self._holder

    def _note_holder(self, holder: str) -> None:
        self._holder = holder
        self._looked.set()

    async def _take(self, is_active: Callable[[], bool]) -> None:
        """Return once this process has the lease, or once another process has stored the blob."""
        try:
            self._lease = await self._leases.take(
                self._name,
                is_wanted=lambda: self._stored() is None,
                is_active=is_active,
                on_held=self._note_holder,
            )
        except StorageError as error:
            logger.info("%s; not waiting for other downloads of %s", error, self._digest)

    def _stored(self) -> StoredObject | None:
        """Return the object of the blob if the cache has it for this repository."""
        repository = self._store.index.repository(self._key)
        is_linked = repository is not None and self._digest in repository.links
        return self._store.index.intact_object(self._digest) if is_linked else None

    @asynccontextmanager
    async def _open_stored(self, stored: StoredObject, offset: int) -> AsyncIterator[BlobResponse]:
        """Read the object. Raise `DownloadLostError`. The chunks raise it too."""
        objects = self._store.objects
        assert objects is not None  # noqa: S101 - for the type checker

        async def chunks() -> AsyncGenerator[bytes, None]:
            try:
                opening = objects.downloads.open_range(self._digest, stored, offset, stored.size)
                async with aclosing(await opening) as parts:
                    async for part in parts:
                        yield part
            except (ObjectStoreError, OCIError) as error:
                raise DownloadLostError(str(error)) from error

        async with aclosing(chunks()) as read:
            yield BlobResponse.of(str(objects.store.location), stored.size, read)


class Activity:
    """Whether work has made progress in the last `STALLED` seconds."""

    def __init__(self, progress: Callable[[], int]) -> None:
        """`progress` returns a number that increases."""
        self._progress = progress
        self._seen = -1
        self._since = 0.0

    def is_recent(self) -> bool:
        """Return whether there was progress since a recent call. Call it every few seconds."""
        now, progress = asyncio.get_running_loop().time(), self._progress()
        if progress != self._seen:
            self._seen, self._since = progress, now
        return now - self._since < STALLED
