"""Blobs of upstreams: from the cache, from a running download, or from a new one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from brokenreg.concurrency import cancel
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, shutting_down
from brokenreg.proxy.cache.fill import Fill
from brokenreg.proxy.cache.fill_limits import FillBudget
from brokenreg.proxy.cache.freshness import CacheServices, UpstreamAccess
from brokenreg.proxy.cache.turns import DownloadKey, DownloadTurns
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind, reraise
from brokenreg.proxy.errors import UpstreamBusyError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.statuses import needs_get, status_error
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage.blob_download import BlobDownload
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import StoredObject
from brokenreg.storage.shared.leases import Lease
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import Cache, HeadInconclusive

logger = logging.getLogger(__name__)

_MAX_FILLS = 1024
"""Maximum number of concurrent downloads: each uses a file and a connection, with or without clients."""


class BlobCache:
    """Serves the blobs of upstreams. `close` ends all downloads."""

    def __init__(self, services: CacheServices) -> None:
        self._access = UpstreamAccess(services.client, ErrorCode.BLOB_UNKNOWN)
        self._store = services.store
        self._default_upstream = services.default_upstream
        self._fills: dict[DownloadKey, Fill] = {}
        self._budget = FillBudget(services.store.cache.max_size)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: SharedRequests[DownloadKey, int | None] = SharedRequests()
        self._turns = DownloadTurns(services.store)
        self._is_closed = False

    @asynccontextmanager
    async def open(
        self, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> AsyncIterator[BlobFile | BlobDownload]:
        """Provide a cached blob, or a running download. Raise `OCIError` if the blob cannot be served."""
        request = ContentRequest(RequestKind.GET, ErrorCode.BLOB_UNKNOWN, digest)
        found: BlobFile | StoredObject | Fill | None = self._cached(route, digest)
        if found is not None:
            trace.found(Cache.HIT)
        else:
            found = await self._default_upstream.run(
                route, request, lambda: self._from_other_repository(route, digest, trace), reraise
            )
        if found is None:
            found = await self._downloaded(route, digest, trace)
        if isinstance(found, BlobFile):
            with found, self._store.blobs.pin(digest):
                yield found
            return
        if isinstance(found, StoredObject):
            assert self._store.objects is not None  # noqa: S101 - for the type checker
            fetch = self._store.objects.downloads.fetch(digest, found)
            with fetch.reading():
                await fetch.begun()
                yield fetch
            return
        fill = found
        with fill.reading():
            await self._default_upstream.run(
                route, request, lambda: self._wait_begun(route, digest, fill), reraise
            )
            yield fill

    async def size(self, route: Route, digest: Digest, trace: UpstreamTrace) -> int | None:
        """Return the size of a blob, or None if its upstream does not say. Raise `OCIError`."""
        found = self._cached(route, digest)
        if found is not None:
            trace.found(Cache.HIT)
            with found if isinstance(found, BlobFile) else nullcontext():
                return found.size
        request = ContentRequest(RequestKind.HEAD, ErrorCode.BLOB_UNKNOWN, digest)
        fill = self._fills.get((route, digest, route.via))
        if fill is not None:
            trace.found(Cache.JOINED)
            with fill.reading():
                await self._default_upstream.run(route, request, fill.begun, reraise)
            return fill.size
        client = self._client(route, digest)
        trace.found(Cache.MISS)
        return await self._default_upstream.run(
            route, request, lambda: self._request_size(client, route, digest, trace), reraise
        )

    async def close(self) -> None:
        """End all downloads, and refuse new ones."""
        self._is_closed = True
        await asyncio.gather(self._sizes.close(), self._turns.close(), cancel(*self._tasks))

    def _cached(self, route: Route, digest: Digest) -> BlobFile | StoredObject | None:
        """Return the cached blob or its object if this repository has a link to it, or None."""
        repository = self._store.index.repository(route.key)
        if repository is None or digest not in repository.links:
            return None
        found = self._store.find(digest)
        if found is not None:
            self._store.cache.used(digest, found.size)
        return found

    async def _from_other_repository(
        self, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> BlobFile | StoredObject | None:
        """Return a blob that is cached for another repository, if this route's upstream has it too."""
        is_downloading = (route, digest, route.via) in self._fills
        is_stored = self._store.size(digest) is not None
        if is_downloading or not is_stored or not self._access.is_allowed(route):
            return None
        await self._request_size(self._client(route, digest), route, digest, trace)
        with self._store.blobs.pin(digest):
            if not await self._store.link(route.key, digest):
                return None
            trace.found(Cache.REVALIDATED)
            return self._cached(route, digest)

    async def _wait_begun(self, route: Route, digest: Digest, fill: Fill) -> None:
        try:
            await fill.begun()
        except UpstreamStatusError as error:
            self._access.note(route, digest, error)
            raise

    async def _request_size(
        self, client: Upstreams, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> int | None:
        key = (route, digest, route.via)
        return await self._sizes.join(key, lambda: self._fetch_size(client, route, digest, trace.add))

    async def _fetch_size(
        self, client: Upstreams, route: Route, digest: Digest, add_event: AddEvent
    ) -> int | None:
        """Return the size from the response to HEAD, or else to GET, whose body is not read."""
        path = f"blobs/{digest}"
        try:
            async with client.request(route, "HEAD", path, add_event=add_event) as response:
                if response.status == 200:
                    return None if response.encoding else response.length
                if not needs_get(response):
                    raise await status_error(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        except UpstreamError as error:
            if error.is_transient:
                raise
        add_event(HeadInconclusive())
        async with client.request(route, "GET", path, add_event=add_event) as response:
            if response.status == 200:
                return None if response.encoding else response.length
            refused = await status_error(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        self._access.note(route, digest, refused)
        raise refused

    async def _downloaded(
        self, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> BlobFile | StoredObject | Fill:
        """Return a running download, or else the blob once another process has downloaded it."""
        key = (route, digest, route.via)
        if key in self._fills:
            trace.found(Cache.JOINED)
            return self._fills[key]
        client = self._client(route, digest)
        is_joined = self._turns.is_under_way(key)
        if not is_joined and len(self._fills) + len(self._turns) >= _MAX_FILLS:
            raise UpstreamBusyError(f"{_MAX_FILLS} other blobs are being downloaded; try again later")
        while key not in self._fills:  # more than once if a download ends before its clients continue
            if not self._turns.are_needed:
                self._start(client, key, trace, None)
                break
            await self._turns.wait(key, lambda lease: self._start(client, key, trace, lease))
            found = None if key in self._fills else self._cached(route, digest)
            if found is not None:
                trace.found(Cache.JOINED)
                return found
        trace.found(Cache.JOINED if is_joined else Cache.MISS)
        return self._fills[key]

    def _start(self, client: Upstreams, key: DownloadKey, trace: UpstreamTrace, lease: Lease | None) -> None:
        """Start a download, and end the lease after it."""
        route, digest, _ = key
        fill = Fill(client, self._store, route, digest, trace.add, self._budget.reserve())
        self._fills[key] = fill
        task = asyncio.create_task(self._run(key, fill, lease), name=f"fetching {digest}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: DownloadKey, fill: Fill, lease: Lease | None) -> None:
        """Run a download. It continues after all clients have disconnected, if it makes progress."""
        _, digest, _ = key
        try:
            await fill.run()
        finally:
            del self._fills[key]
            if lease is not None:
                await self._turns.end(lease)
        if fill.is_kept and fill.size is not None:
            self._store.cache.used(digest, fill.size)
            try:
                await self._store.cache.make_room()
            except (OSError, StorageError):
                logger.exception("cannot make room in the cache; trying again after the next blob")

    def _client(self, route: Route, digest: Digest) -> Upstreams:
        """Return the client. Raise `OCIError` 404 as `UpstreamAccess.client` does, and 503 after `close`."""
        if self._is_closed:
            raise shutting_down()
        return self._access.client(route, digest)
