"""Downloads a blob from an upstream into the cache. Any number of clients can read it during the download.

The digest is verified before clients get the last byte, and before the file becomes a blob of the cache.
Therefore a wrong blob is never delivered in full, and never served again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass

from brokenreg.bulk.pipeline import writer_slot
from brokenreg.concurrency import background
from brokenreg.http.asgi import ClientDisconnectedError
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down
from brokenreg.proxy.cache.download import BlobResponse, Overflow, ResumableDownload, chunks_after
from brokenreg.proxy.cache.fill_limits import FillLimit, FillReservation, ended_if_abandoned, fill_limit
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import StorageFullError, TooLargeError, error_for_client, is_no_room, no_room
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import NotCached

logger = logging.getLogger(__name__)

_SMALL = 64 * 1024
"""Maximum size of a blob that is verified before its response begins. Configurations are smaller."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that is ready to be read."""

    file: BlobFile
    offset: int
    count: int


class Fill:
    """The download of one blob. A task runs `run`; clients read with `pieces`."""

    def __init__(
        self,
        client: Upstreams,
        store: Store,
        route: Route,
        digest: Digest,
        add_event: AddEvent,
        reservation: FillReservation,
    ) -> None:
        self.size: int | None = None
        """The size of the whole blob, in bytes, or None while it is unknown."""
        self.is_kept = False
        """Whether the blob has been added to the cache."""
        self._store = store
        self._route = route
        self._digest = digest
        self._add_event = add_event
        self._upload = store.uploads.start_unlisted(route.key, digest.algorithm)
        self._upload.allows_size = reservation.grow_to
        self._reservation = reservation
        self._file: BlobFile | None = None
        self._readers = 0
        self._download = ResumableDownload(client, route, digest, add_event)
        self._is_encoded = False
        self._begun = False
        self._ended = False
        self._verified = False
        self._error: OCIError | None = None
        self._overflow: Overflow | None = None
        self._limit = FillLimit(digest, sys.maxsize, "the limit is not known yet")
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Download and verify the blob, and add it to the cache. Clients get the error, if any."""
        try:
            await self._fill()
        except OCIError as error:
            self._error = error
            if self._begun:  # clients get no message then, only a cut connection
                logger.warning("cannot fetch %s of %s: %s", self._digest, self._route.name, error.message)
        except Exception as error:
            self._error = error_for_client(error)
            if self._error is None:
                logger.exception("cannot fetch %s of %s", self._digest, self._route.name)
                self._error = OCIError(500, ErrorCode.UNKNOWN, "internal error; see the diagnostics")
            else:
                logger.error("cannot fetch %s of %s: %s", self._digest, self._route.name, error)  # noqa: TRY400
        finally:
            if not self._is_over:  # cancelled, because brokenreg is shutting down
                self._error = shutting_down()
            self._begun = self._ended = True
            self._notify()
            self._close_unread()
            if self.is_kept:  # now the cache counts its bytes
                self._reservation.release()

    async def begun(self) -> None:
        """Wait until the upstream has begun to send the blob. Raise `OCIError` if it does not.

        For a small or encoded blob, wait until it is complete, so that a wrong one causes an error response.
        """
        while not self._begun or ((self._is_small or self._is_encoded) and not self._is_over):
            await self._changed.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the file open within the block."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            self._close_unread()

    async def whole_size(self) -> int:
        """Return the size of the blob, after its download if the upstream does not say. Raise `OCIError`."""
        while self.size is None and self._error is None and self._overflow is None:
            await self._changed.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self.size is None:
            raise UpstreamContentError(f"{self._download.source} did not send the size of {self._digest}")
        return self.size

    async def pieces(
        self, begin: int, end: int | None, disconnected: asyncio.Event
    ) -> AsyncGenerator[Piece | bytes, None]:
        """Yield the bytes from `begin` to `end` (None: the end of the blob) as they arrive.

        Raise `OCIError` if the download fails, always before the last byte. Raise `ClientDisconnectedError`
        after `disconnected` was set.
        """
        async with background(self._wake(disconnected)):
            async for piece in self._pieces(begin, end, disconnected):
                yield piece

    async def _pieces(self, begin: int, end: int | None, gone: asyncio.Event) -> AsyncIterator[Piece | bytes]:
        position = begin
        while end is None or position < end:
            readable = await self._wait_beyond(position, gone)
            stop = readable if end is None else min(readable, end)
            if stop > position and self._file is not None:
                yield Piece(self._file, position, stop - position)
                position = stop
            elif self._overflow is not None:
                download = self._download.another(self._overflow.kept)
                async for chunk in chunks_after(self._overflow, download, self._limit, position, end):
                    yield chunk
                return
            else:
                return

    @property
    def _is_small(self) -> bool:
        size = self.size
        if size is None and self._limit.is_described:
            size = self._limit.size
        return size is not None and size <= _SMALL

    @property
    def _is_over(self) -> bool:
        return self._verified or self._overflow is not None or self._error is not None

    async def _wait_beyond(self, position: int, disconnected: asyncio.Event) -> int:
        """Wait for readable bytes after `position`. Return their end, or `position` if there are no more."""
        while self._error is None:
            readable = self._readable
            if readable > position or self._verified or self._overflow is not None:
                return readable
            if disconnected.is_set():
                raise ClientDisconnectedError
            await self._changed.wait()
        raise self._error.with_traceback(None)

    @property
    def _readable(self) -> int:
        if self._overflow is not None:
            return self._overflow.kept
        received = self._upload.offset
        may_be_all = self.size is None or received >= self.size
        return max(0, received - 1) if may_be_all and not self._verified else received

    async def _wake(self, disconnected: asyncio.Event) -> None:
        """Wake the waiting reader after its client has disconnected."""
        await disconnected.wait()
        self._notify()

    async def _fill(self) -> None:
        try:
            with self._upload:
                self._file = BlobFile(self._upload.path)
                self._limit = await fill_limit(self._store, self._route.key, self._digest)
                what = f"blob {self._digest}"
                async with ended_if_abandoned(lambda: self._upload.offset, lambda: self._readers > 0, what):
                    await self._receive()
                await self._publish()
        except BaseException as error:
            if is_no_room(error):
                self._warn()
                self._overflow = Overflow(self._upload.offset, self._upload.hasher())
            await self._store.uploads.cancel(self._upload)
            if self._overflow is None:
                raise

    async def _receive(self) -> None:
        """Send requests until the blob is complete, each from where the last one was cut."""
        while True:
            try:
                await self._request()
                self._download.check_whole(self._upload.offset)
                await self._check_described()
            except UpstreamError as error:
                if not self._begun:
                    raise
                await self._download.resume(error, self._upload.offset, self._readers > 0)
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
            self._limit.check(response.source, response.size)
            self._limit = self._limit.announced(response.size)
            self._upload.limit = self._limit.size
            self.size = self._download.size
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

    async def _publish(self) -> None:
        """Verify the digest, then let clients read the last byte, and add the blob to the cache."""
        received = await self._upload.digest(self._digest.algorithm)
        if received != self._digest:
            raise self._download.digest_error(received, self._upload.offset)
        self.size = self._upload.offset
        self._verified = True
        self._notify()  # before the file is durable, which may take the disk a while
        try:
            await self._store.uploads.finish(self._upload, self._digest)
            self.is_kept = True
        except (OSError, StorageFullError) as error:
            if not is_no_room(error):
                raise
            self._warn()
            await self._store.uploads.cancel(self._upload)

    def _warn(self) -> None:
        is_refused = self._reservation.was_refused
        reason = "other downloads use up --cache-max-size" if is_refused else "the data folder is full"
        self._add_event(NotCached(reason))
        logger.warning("%s: %s of %s is sent but not cached", reason, self._digest, self._route.name)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _close_unread(self) -> None:
        if self._ended and not self._readers and self._file is not None:
            self._file.close()
            self._file = None
            self._reservation.release()
