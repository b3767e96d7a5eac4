"""Lets one process download a blob for all that share the database and the object store."""

from __future__ import annotations

import logging
from collections.abc import Callable

from brokenreg.concurrency import SingleFlight
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.routes import Route, Via
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.leases import Lease

logger = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds to wait for the download of another process. Then this process downloads the blob too."""

DownloadKey = tuple[Route, Digest, Via]
"""What a download is for. Clients with the same key share one."""


class DownloadTurns:
    """Waits for the downloads of other processes. `close` ends all waiting."""

    def __init__(self, store: Store) -> None:
        self._index = store.index
        self._leases = store.index.leases
        self.are_needed = store.objects is not None and store.index.is_shared
        """Whether other processes can download blobs for this one."""
        self._waiting: SingleFlight[DownloadKey, None] = SingleFlight(shutting_down, linger=0.0)

    def __len__(self) -> int:
        """Return the number of blobs for which clients wait."""
        return len(self._waiting)

    def is_under_way(self, key: DownloadKey) -> bool:
        """Return whether clients wait for that blob already."""
        return self._waiting.is_under_way(key)

    async def wait(self, key: DownloadKey, start: Callable[[Lease | None], None]) -> None:
        """Return once another process has downloaded the blob, or after calling `start` once for all callers.

        `start` begins the download in this process. It gets a lease to `end` after the download, or None if
        another process is slow, or if the database cannot be reached. If all callers are cancelled, the
        waiting ends.
        """
        await self._waiting.join(key, lambda: self._wait(key, start))

    async def end(self, lease: Lease) -> None:
        """Let the other processes have the blob, or try to download it if this process has failed."""
        await self._leases.end(lease)

    async def close(self) -> None:
        """End all waiting."""
        await self._waiting.close()

    async def _wait(self, key: DownloadKey, start: Callable[[Lease | None], None]) -> None:
        route, digest, _ = key
        name = " ".join(("download", *route.key, digest))
        try:
            lease = await self._leases.take(name, PATIENCE, lambda: not self._is_stored(route, digest))
        except StorageError as error:
            logger.info("%s; not waiting for other downloads of %s", error, digest)
            lease = None
        try:
            if not self._is_stored(route, digest):
                start(lease)
                lease = None
        finally:
            if lease is not None:
                await self._leases.end(lease)

    def _is_stored(self, route: Route, digest: Digest) -> bool:
        """Return whether the cache has the blob for this repository."""
        repository = self._index.repository(route.key)
        is_linked = repository is not None and digest in repository.links
        return is_linked and self._index.intact_object(digest) is not None
