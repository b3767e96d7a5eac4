"""Blobs through the cache: from disk, from a download under way, or by one that begins."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, shutting_down
from brokenreg.proxy.answers import refusal, unknown
from brokenreg.proxy.client import Tell, UpstreamClient
from brokenreg.proxy.errors import UpstreamStatusError
from brokenreg.proxy.fill import Fill
from brokenreg.proxy.flights import Flights
from brokenreg.proxy.misses import Misses
from brokenreg.proxy.route import Route
from brokenreg.proxy.via import Via
from brokenreg.proxy.witness import Witness
from brokenreg.storage import Store
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.exchange import Cache

logger = logging.getLogger(__name__)


class BlobCache:
    """Blobs of upstreams; `client` is None if nobody may be asked. `close` ends all downloads."""

    def __init__(self, client: UpstreamClient | None, store: Store) -> None:
        self._client = client
        self._store = store
        self._misses = Misses()
        self._fills: dict[tuple[Route, Digest, Via], Fill] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: Flights[tuple[Route, Digest, Via], int | None] = Flights()
        self._is_closed = False

    @asynccontextmanager
    async def open(self, route: Route, digest: Digest, witness: Witness) -> AsyncIterator[BlobFile | Fill]:
        """A blob to read from: whole, or as it comes. Raise `OCIError` if it is not to be had."""
        file = self._cached(route, digest)
        if file is not None:
            witness.found(Cache.HIT)
        else:
            file = await self._known_elsewhere(route, digest, witness)
        if file is not None:
            with file, self._store.blobs.pin(digest):
                yield file
            return
        fill = self._join(route, digest, witness)
        with fill.reading():
            try:
                await fill.begun()
            except UpstreamStatusError as error:
                self._misses.note(route, digest, error)
                raise
            yield fill

    async def size(self, route: Route, digest: Digest, witness: Witness) -> int | None:
        """Bytes of a blob; None if its upstream does not tell. Raise `OCIError` if it is not to be had."""
        file = self._cached(route, digest)
        if file is not None:
            witness.found(Cache.HIT)
            with file:
                return file.size
        fill = self._fills.get((route, digest, route.via))
        if fill is not None:
            witness.found(Cache.FOLLOWED)
            await fill.begun()
            return fill.size
        witness.found(Cache.MISS)
        return await self._ask_size(route, digest, witness)

    async def close(self) -> None:
        """End what is under way, and start nothing any more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._sizes.close(), *self._tasks, return_exceptions=True)

    def _cached(self, route: Route, digest: Digest) -> BlobFile | None:
        """The blob, if this repository is linked to it: what another may serve says nothing of this one."""
        repository = self._store.index.repository(route.key)
        if repository is None or digest not in repository.links:
            return None
        file = self._store.integrity.open(digest)
        if file is not None:
            self._store.cache.used(digest, file.size)
        return file

    async def _known_elsewhere(self, route: Route, digest: Digest, witness: Witness) -> BlobFile | None:
        """The blob that another repository brought, once this one's upstream says that it has it too."""
        is_coming = (route, digest, route.via) in self._fills
        if self._client is None or is_coming or self._store.blobs.size(digest) is None:
            return None
        await self._ask_size(route, digest, witness)
        with self._store.blobs.pin(digest):
            if self._store.blobs.size(digest) is None:
                return None
            await self._store.index.link_blob(route.key, digest, time.time())
            witness.found(Cache.REVALIDATED)
            return self._cached(route, digest)

    async def _ask_size(self, route: Route, digest: Digest, witness: Witness) -> int | None:
        client = self._online(route, digest)
        key = (route, digest, route.via)
        return await self._sizes.join(key, lambda: self._head(client, route, digest, witness.tell))

    async def _head(self, client: UpstreamClient, route: Route, digest: Digest, tell: Tell) -> int | None:
        async with client.ask(route, "HEAD", f"blobs/{digest}", tell=tell) as response:
            if response.status == 200:
                return None if response.encoding else response.length
            error = await refusal(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        self._misses.note(route, digest, error)
        raise error

    def _join(self, route: Route, digest: Digest, witness: Witness) -> Fill:
        fill = self._fills.get((route, digest, route.via))
        if fill is not None:
            witness.found(Cache.FOLLOWED)
            return fill
        client = self._online(route, digest)
        witness.found(Cache.MISS)
        fill = Fill(client, self._store, route, digest, witness.tell)
        self._fills[route, digest, route.via] = fill
        task = asyncio.create_task(self._run(route, digest, fill), name=f"fetching {digest}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return fill

    async def _run(self, route: Route, digest: Digest, fill: Fill) -> None:
        """It goes on when all who asked have left."""
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
        """Raise `OCIError` 404 if nobody may be asked, or was just now and had nothing; 503 once closed."""
        if self._is_closed:
            raise shutting_down()
        if self._client is None:
            message = f"blob {digest} of {route.name} is not here, and --offline asks nobody"
            raise unknown(ErrorCode.BLOB_UNKNOWN, digest, message)
        self._misses.check(route, digest)
        return self._client
