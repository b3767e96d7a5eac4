"""Downloads a blob from an upstream into the cache."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

from brokenreg.bulk.pipeline import writer_slot
from brokenreg.oci.digests import Digest
from brokenreg.proxy.cache.download import BlobResponse, ResumableDownload, chunks_after
from brokenreg.proxy.cache.fill_limits import FillLimit, FillReservation, ended_if_abandoned, fill_limit
from brokenreg.proxy.cache.turns import Activity, DownloadLostError, DownloadTurn
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamUnreachableError
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.storage.blob_download import BlobDownload, Overflow, is_small
from brokenreg.storage.errors import ObjectStoreError, TooLargeError, no_room
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.upstream_events import Cache, NotCached, SharedDownload

logger = logging.getLogger(__name__)


class Fill(BlobDownload):
    """The download of one blob."""

    def __init__(
        self,
        client: Upstreams,
        store: Store,
        route: Route,
        digest: Digest,
        trace: UpstreamTrace,
        reservation: FillReservation,
        turn: DownloadTurn | None = None,
    ) -> None:
        """Unless `turn` is None, another process may download the blob for this one."""
        upload = store.uploads.start_unlisted(route.key, digest.algorithm)
        upload.allows_size = reservation.grow_to
        super().__init__(digest, route.name, store.uploads, upload)
        self._store = store
        self._route = route
        self._trace = trace
        self._turn = turn
        self._reservation = reservation
        self._download = ResumableDownload(client, route, digest, trace.add)
        self._is_encoded = False
        self._limit = FillLimit(digest, sys.maxsize, "the limit is not known yet")

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            if self.is_kept:  # now the cache counts its bytes
                self._reservation.release()

    @property
    def is_ours(self) -> bool:
        """Whether this process downloads the blob for the others."""
        return self._turn is not None and self._turn.has_lease

    async def whole_size(self) -> int:
        """Return the size of the blob, after its download if the upstream does not say. Raise `OCIError`."""
        size = await super().whole_size()
        if size is None:
            raise UpstreamContentError(f"{self._download.source} did not send the size of {self._digest}")
        return size

    @property
    def _needs_all(self) -> bool:
        size = self.size
        if size is None and self._limit.is_described:
            size = self._limit.size
        return self._is_encoded or is_small(size)

    async def _receive(self) -> None:
        """Download until the blob is complete, unless no client waits and it makes too little progress."""
        self._limit = await fill_limit(self._store, self._route.key, self._digest)
        what = f"blob {self._digest}"
        async with ended_if_abandoned(lambda: self.received, lambda: self.is_awaited, what):
            if self._turn is None or not await self._follow(self._turn):
                self._trace.found(Cache.MISS)
                await self._request_until_whole()

    async def _follow(self, turn: DownloadTurn) -> bool:
        """Read what another process downloads. Return False if it is the turn of this process to download.

        Raise `UpstreamUnreachableError` if no client waits for that.
        """
        activity = Activity(lambda: self.received)
        turn.begin(lambda: self._verified or activity.is_recent())
        self._upload.is_sent_early = False
        has_followed = False
        async with aclosing(turn.sources(lambda: self.received)) as sources:
            async for source in sources:
                if not has_followed:
                    self._trace.found(Cache.JOINED)
                has_followed = True
                try:
                    async with source as response:
                        self._trace.add(SharedDownload(response.source, self.received))
                        await self._take_in(response)
                except DownloadLostError as error:
                    logger.info("%s; reading %s from elsewhere", error, self._digest)
                    await turn.note_lost(error)
                else:
                    return True
        self._upload.is_sent_early = True
        self._download.size = self.size
        if has_followed and not self.is_awaited:
            raise UpstreamUnreachableError(
                f"the download of {self._digest} was lost, and no client waits for it"
            )
        return False

    async def _request_until_whole(self) -> None:
        """Send requests until the blob is complete, each from where the last one was cut."""
        while True:
            try:
                await self._request()
                self._download.check_whole(self._upload.offset)
                await self._check_described()
            except UpstreamError as error:
                if not self._begun:
                    raise
                await self._download.resume(error, self._upload.offset, self.is_awaited)
            else:
                return

    async def _check_described(self) -> None:
        """Raise `UpstreamUnreachableError` if a body of unknown length was cut off before the blob's end."""
        offset, limit = self._upload.offset, self._limit
        may_be_cut = self.size is None and limit.is_described and offset < limit.size
        if may_be_cut and await self._upload.digest(self._digest.algorithm) != self._digest:
            raise self._download.cut_error(offset, limit.size)

    async def _request(self) -> None:
        async with self._download.request(self._upload.offset) as response:
            await self._take_in(response)

    async def _take_in(self, response: BlobResponse) -> None:
        """Store the body of a response. Raise `UpstreamContentError` if it is too large."""
        self._limit.check(response.source, response.size)
        self._limit = self._limit.announced(response.size)
        self._upload.limit = self._limit.size
        self.size = response.size if self.size is None else self.size
        if not self._begun:
            self._is_encoded = response.is_encoded
            self._begun = True
            self._notify()
            self._check_room(response.size or 0)
        try:
            await self._store_all(response)
        except TooLargeError:
            raise self._limit.exceeded(response.source) from None

    def _check_room(self, size: int) -> None:
        """Raise `OSError` EDQUOT if there is no room for `size` bytes. Other blobs are removed only later."""
        self._store.room.check(size)
        if not self._reservation.grow_to(size):
            raise no_room()

    async def _store_all(self, response: BlobResponse) -> None:
        """Store the body. A long one is stored in threads if a slot is free."""
        await self._upload.grow(response.first(), self._notify)
        with writer_slot() as is_free:
            source = response.remaining_body() if is_free else None
            if source is not None:
                await self._upload.grow_from(source, self._notify)
                return
        await self._upload.grow(response.chunks, self._notify)

    def _digest_error(self, received: Digest) -> UpstreamContentError:
        return self._download.digest_error(received, self._upload.offset)

    async def _keep(self) -> None:
        if self._turn is not None and await self._turn.is_stored():
            await self._store.uploads.keep_copy(self._upload, self._digest)
        else:
            await self._store.uploads.finish(self._upload, self._digest)

    def _note_not_kept(self, error: BaseException) -> None:
        if self._reservation.was_refused:
            reason = "other downloads use up --cache-max-size"
        elif isinstance(error, ObjectStoreError):
            reason = str(error)
        else:
            reason = "the data folder is full"
        self._trace.add(NotCached(reason))
        logger.warning("%s: %s of %s is sent but not cached", reason, self._digest, self._route.name)

    def _after(self, overflow: Overflow, begin: int, end: int | None) -> AsyncIterator[bytes]:
        download = self._download.another(overflow.kept)
        return chunks_after(overflow, download, self._limit, begin, end)

    def _release(self) -> None:
        self._reservation.release()
