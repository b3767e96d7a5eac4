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
from brokenreg.proxy.cache.turns import DownloadTurn, DownloadTurns
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind, reraise
from brokenreg.proxy.errors import UpstreamBusyError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.statuses import needs_get, status_error
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route, Via
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage.blob_download import BlobDownload
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import RepositoryKey, StoredObject
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import Cache, HeadInconclusive

logger = logging.getLogger(__name__)

DownloadKey = tuple[Route, Digest, Via]
"""What a download is for. Clients with the same key share one."""

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
        self._turns = DownloadTurns(services.store, services.replicas)
        self._is_closed = False

    @asynccontextmanager
    async def open(
        self, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> AsyncIterator[BlobFile | BlobDownload]:
        """Provide a cached blob, or a running download. Raise `OCIError` if the blob cannot be served."""
        request = ContentRequest(RequestKind.GET, ErrorCode.BLOB_UNKNOWN, digest)
        found: BlobFile | StoredObject | Fill | None = self._cached(route, digest)
        if isinstance(found, StoredObject) and (route, digest, route.via) in self._fills:
            found = (
                None  # it was stored by the process that this one follows, and has almost arrived here too
            )
        elif found is not None:
            trace.found(Cache.HIT)
        else:
            found = await self._default_upstream.run(
                route, request, lambda: self._from_other_repository(route, digest, trace), reraise
            )
        if found is None:
            found = self._joined_or_started(route, digest, trace)
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

    def running(self, key: RepositoryKey, digest: Digest) -> Fill | None:
        """Return the download of a blob for that repository of the cache that this process runs, or None."""
        fills = (
            fill for (route, wanted, _), fill in self._fills.items() if wanted == digest and route.key == key
        )
        return max(fills, key=lambda fill: fill.is_ours, default=None)

    async def close(self) -> None:
        """End all downloads, and refuse new ones."""
        self._is_closed = True
        await asyncio.gather(self._sizes.close(), cancel(*self._tasks))

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

    def _joined_or_started(self, route: Route, digest: Digest, trace: UpstreamTrace) -> Fill:
        """Return the running download of a blob, or start one. Raise `OCIError`."""
        key = (route, digest, route.via)
        fill = self._fills.get(key)
        if fill is not None:
            trace.found(Cache.JOINED)
            return fill
        client = self._client(route, digest)
        if len(self._fills) >= _MAX_FILLS:
            raise UpstreamBusyError(f"{_MAX_FILLS} other blobs are being downloaded; try again later")
        turn = self._turns.turn(route.key, digest)
        if turn is None:
            trace.found(Cache.MISS)
        fill = Fill(client, self._store, route, digest, trace, self._budget.reserve(), turn)
        self._fills[key] = fill
        task = asyncio.create_task(self._run(key, fill, turn), name=f"fetching {digest}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fill

    async def _run(self, key: DownloadKey, fill: Fill, turn: DownloadTurn | None) -> None:
        """Run a download. It continues after all clients have disconnected, if it makes progress."""
        _, digest, _ = key
        try:
            await fill.run()
        finally:
            del self._fills[key]
            if turn is not None:
                await turn.end()
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
