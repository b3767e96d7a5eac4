"""Blobs through the cache: from disk, from a download under way, or by one that begins."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.concurrency import cancel
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, shutting_down
from brokenreg.proxy.cache.fill import Fill
from brokenreg.proxy.cache.fill_limits import InFlight
from brokenreg.proxy.cache.freshness import CacheServices, UpstreamAccess
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind, reraise
from brokenreg.proxy.errors import UpstreamBusyError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.http.statuses import get_decides, refusal
from brokenreg.proxy.routes import Route, Via
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.timeline_events import AddEvent, Cache, HeadInconclusive
from brokenreg.traffic.upstream_trace import UpstreamTrace

logger = logging.getLogger(__name__)

_MOST_FILLS = 1024
"""Maximum number of concurrent downloads: each has a file and a connection, with or without clients."""


class BlobCache:
    """Blobs of upstreams. `close` ends all downloads."""

    def __init__(self, services: CacheServices) -> None:
        self._access = UpstreamAccess(services.client, ErrorCode.BLOB_UNKNOWN)
        self._store = services.store
        self._default_upstream = services.default_upstream
        self._fills: dict[tuple[Route, Digest, Via], Fill] = {}
        self._in_flight = InFlight(services.store.cache.max_size)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: SharedRequests[tuple[Route, Digest, Via], int | None] = SharedRequests()
        self._is_closed = False

    @asynccontextmanager
    async def open(
        self, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> AsyncIterator[BlobFile | Fill]:
        """A blob to read from: whole, or as it comes. Raise `OCIError` if it is not to be had."""
        request = ContentRequest(RequestKind.GET, ErrorCode.BLOB_UNKNOWN, digest)
        file = self._cached(route, digest)
        if file is not None:
            trace.found(Cache.HIT)
        else:
            file = await self._default_upstream.run(
                route, request, lambda: self._known_elsewhere(route, digest, trace), reraise
            )
        if file is not None:
            with file, self._store.blobs.pin(digest):
                yield file
            return
        fill = self._join(route, digest, trace)
        with fill.reading():
            await self._default_upstream.run(
                route, request, lambda: self._begun(route, digest, fill), reraise
            )
            yield fill

    async def size(self, route: Route, digest: Digest, trace: UpstreamTrace) -> int | None:
        """Bytes of a blob; None if its upstream does not tell. Raise `OCIError` if it is not to be had."""
        file = self._cached(route, digest)
        if file is not None:
            trace.found(Cache.HIT)
            with file:
                return file.size
        request = ContentRequest(RequestKind.HEAD, ErrorCode.BLOB_UNKNOWN, digest)
        fill = self._fills.get((route, digest, route.via))
        if fill is not None:
            trace.found(Cache.JOINED)
            with fill.reading():
                await self._default_upstream.run(route, request, fill.begun, reraise)
            return fill.size
        client = self._online(route, digest)
        trace.found(Cache.MISS)
        return await self._default_upstream.run(
            route, request, lambda: self._ask_size(client, route, digest, trace), reraise
        )

    async def close(self) -> None:
        """End all downloads, and refuse new ones."""
        self._is_closed = True
        await asyncio.gather(self._sizes.close(), cancel(*self._tasks))

    def _cached(self, route: Route, digest: Digest) -> BlobFile | None:
        """The blob, if this repository is linked to it: what another may serve says nothing of this one."""
        repository = self._store.index.repository(route.key)
        if repository is None or digest not in repository.links:
            return None
        file = self._store.integrity.open(digest)
        if file is not None:
            self._store.cache.used(digest, file.size)
        return file

    async def _known_elsewhere(self, route: Route, digest: Digest, trace: UpstreamTrace) -> BlobFile | None:
        """The blob that another repository brought, once this one's upstream says that it has it too."""
        is_coming = (route, digest, route.via) in self._fills
        is_here = self._store.blobs.size(digest) is not None
        if is_coming or not is_here or not self._access.is_allowed(route):
            return None
        await self._ask_size(self._online(route, digest), route, digest, trace)
        with self._store.blobs.pin(digest):
            if self._store.blobs.size(digest) is None:
                return None
            await self._store.index.link_blob(route.key, digest, time.time())
            trace.found(Cache.REVALIDATED)
            return self._cached(route, digest)

    async def _begun(self, route: Route, digest: Digest, fill: Fill) -> None:
        try:
            await fill.begun()
        except UpstreamStatusError as error:
            self._access.note(route, digest, error)
            raise

    async def _ask_size(
        self, client: UpstreamClient, route: Route, digest: Digest, trace: UpstreamTrace
    ) -> int | None:
        key = (route, digest, route.via)
        return await self._sizes.join(key, lambda: self._look(client, route, digest, trace.add))

    async def _look(self, client: UpstreamClient, route: Route, digest: Digest, tell: AddEvent) -> int | None:
        """Return the size from the response to HEAD, or else to GET, whose body is not read."""
        path = f"blobs/{digest}"
        try:
            async with client.ask(route, "HEAD", path, tell=tell) as response:
                if response.status == 200:
                    return None if response.encoding else response.length
                if not get_decides(response):
                    raise await refusal(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        except UpstreamError as error:
            if error.is_transient:
                raise
        tell(HeadInconclusive())
        async with client.ask(route, "GET", path, tell=tell) as response:
            if response.status == 200:
                return None if response.encoding else response.length
            refused = await refusal(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        self._access.note(route, digest, refused)
        raise refused

    def _join(self, route: Route, digest: Digest, trace: UpstreamTrace) -> Fill:
        fill = self._fills.get((route, digest, route.via))
        if fill is not None:
            trace.found(Cache.JOINED)
            return fill
        client = self._online(route, digest)
        if len(self._fills) >= _MOST_FILLS:
            raise UpstreamBusyError(f"{_MOST_FILLS} other blobs are being fetched; try again later")
        trace.found(Cache.MISS)
        fill = Fill(client, self._store, route, digest, trace.add, self._in_flight.share())
        self._fills[route, digest, route.via] = fill
        task = asyncio.create_task(self._run(route, digest, fill), name=f"fetching {digest}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fill

    async def _run(self, route: Route, digest: Digest, fill: Fill) -> None:
        """Run a download. It continues after all clients have disconnected, if it makes progress."""
        try:
            await fill.run()
        finally:
            del self._fills[route, digest, route.via]
        if fill.is_kept and fill.size is not None:
            self._store.cache.used(digest, fill.size)
            try:
                await self._store.cache.make_room()
            except (OSError, StorageError):
                logger.exception("making room in the cache failed; trying again with the next blob")

    def _online(self, route: Route, digest: Digest) -> UpstreamClient:
        """Return the client. Raise `OCIError` 404 as `UpstreamAccess.client` does, and 503 once closed."""
        if self._is_closed:
            raise shutting_down()
        return self._access.client(route, digest)
