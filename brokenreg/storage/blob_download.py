"""A blob on its way into the data folder. Any number of clients can read it while it arrives.

The digest is verified before clients get the last byte, and before the file becomes a blob. Therefore a wrong
blob is never delivered in full, and never served again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenreg.concurrency import background
from brokenreg.http.asgi import ClientDisconnectedError
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError, shutting_down
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.errors import ObjectStoreError, StorageError, error_for_client, is_no_room
from brokenreg.storage.uploads.upload_session import UploadSession
from brokenreg.storage.uploads.upload_store import UploadStore

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

logger = logging.getLogger(__name__)

_SMALL = 64 * 1024
"""Maximum size of a blob that is verified before its response begins. Configurations are smaller."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that is ready to be read."""

    file: BlobFile
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Overflow:
    """A blob that does not fit on the disk: its file has only the first `kept` bytes, hashed in `hasher`."""

    kept: int
    hasher: Hash


def is_small(size: int | None) -> bool:
    """Return whether a blob is verified before its response begins."""
    return size is not None and size <= _SMALL


class BlobDownload(ABC):
    """One blob that arrives. A task runs `run`; clients read with `pieces`."""

    def __init__(self, digest: Digest, source: str, uploads: UploadStore, upload: UploadSession) -> None:
        """`source` says in messages where the blob comes from."""
        self.size: int | None = None
        """The size of the whole blob, in bytes, or None while it is unknown."""
        self.is_kept = False
        """Whether the blob has been added to the data folder."""
        self._digest = digest
        self._source = source
        self._uploads = uploads
        self._upload = upload
        self._file: BlobFile | None = None
        self._readers = 0
        self._begun = False
        self._ended = False
        self._verified = False
        self._error: OCIError | None = None
        self._overflow: Overflow | None = None
        self._changed = asyncio.Event()

    @abstractmethod
    async def _receive(self) -> None:
        """Write the whole blob to `_upload`, and set `size` and `_begun` as soon as they are known."""

    @abstractmethod
    def _digest_error(self, received: Digest) -> Exception:
        """Return the error for content with another digest."""

    @abstractmethod
    async def _keep(self) -> None:
        """Turn the verified upload into a blob."""

    @abstractmethod
    def _note_not_kept(self, error: BaseException) -> None:
        """Log that the blob is sent but not kept, because of `error`."""

    @abstractmethod
    def _after(self, overflow: Overflow, begin: int, end: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes from `begin` to `end` that are not in the file."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what was reserved for the file, which is closed now."""

    async def run(self) -> None:
        """Receive and verify the blob, and keep it. Clients get the error, if any."""
        try:
            await self._fill()
        except OCIError as error:
            self._error = error
            if self._begun:  # clients get no message then, only a cut connection
                logger.warning("cannot fetch %s of %s: %s", self._digest, self._source, error.message)
        except Exception as error:
            self._error = error_for_client(error)
            if self._error is None:
                logger.exception("cannot fetch %s of %s", self._digest, self._source)
                self._error = OCIError(500, ErrorCode.UNKNOWN, "internal error; see the diagnostics")
            else:
                logger.error("cannot fetch %s of %s: %s", self._digest, self._source, error)  # noqa: TRY400
        finally:
            if not self._is_over:  # cancelled, because brokenreg is shutting down
                self._error = shutting_down()
            self._begun = self._ended = True
            self._notify()
            self._close_unread()

    async def begun(self) -> None:
        """Wait until the blob begins to arrive. Raise `OCIError` if it does not.

        For a small blob, wait until it is complete, so that a wrong one causes an error response.
        """
        while not self._begun or (self._needs_all and not self._is_over):
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

    async def whole_size(self) -> int | None:
        """Return the size of the blob once it is known, or None if it stays unknown. Raise `OCIError`."""
        while self.size is None and self._error is None and self._overflow is None:
            await self._changed.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self.size

    async def pieces(
        self, begin: int, end: int | None, disconnected: asyncio.Event
    ) -> AsyncGenerator[Piece | bytes, None]:
        """Yield the bytes from `begin` to `end` (None: the end of the blob) as they arrive.

        Raise `OCIError` if the blob does not arrive, always before the last byte. Raise
        `ClientDisconnectedError` after `disconnected` was set.
        """
        async with background(self._wake(disconnected)):
            async for piece in self._pieces(begin, end, disconnected):
                yield piece

    def has(self, offset: int) -> bool:
        """Return whether the byte at `offset` has arrived and can be read."""
        return self._error is None and offset < self._readable

    @property
    def received(self) -> int:
        """The number of bytes that are in the file."""
        return self._upload.offset

    @property
    def is_awaited(self) -> bool:
        """Whether clients are reading."""
        return self._readers > 0

    async def _pieces(self, begin: int, end: int | None, gone: asyncio.Event) -> AsyncIterator[Piece | bytes]:
        position = begin
        while end is None or position < end:
            readable = await self._wait_beyond(position, gone)
            stop = readable if end is None else min(readable, end)
            if stop > position and self._file is not None:
                yield Piece(self._file, position, stop - position)
                position = stop
            elif self._overflow is not None:
                async for chunk in self._after(self._overflow, position, end):
                    yield chunk
                return
            else:
                return

    @property
    def _needs_all(self) -> bool:
        """Whether the response begins only once the blob is complete."""
        return is_small(self.size)

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
        may_be_all = self.size is None or self.received >= self.size
        return max(0, self.received - 1) if may_be_all and not self._verified else self.received

    async def _wake(self, disconnected: asyncio.Event) -> None:
        """Wake the waiting reader after its client has disconnected."""
        await disconnected.wait()
        self._notify()

    async def _fill(self) -> None:
        try:
            with self._upload:
                self._file = BlobFile(self._upload.path)
                await self._receive()
                await self._publish()
        except BaseException as error:
            if is_no_room(error):
                self._note_not_kept(error)
                self._overflow = Overflow(self._upload.offset, self._upload.hasher())
            await self._uploads.cancel(self._upload)
            if self._overflow is None:
                raise

    async def _publish(self) -> None:
        """Verify the digest, then let clients read the last byte, and keep the blob."""
        received = await self._upload.digest(self._digest.algorithm)
        if received != self._digest:
            raise self._digest_error(received)
        self.size = self._upload.offset
        self._verified = True
        self._notify()  # before the file is durable, which may take the disk a while
        try:
            await self._keep()
            self.is_kept = True
        except (OSError, StorageError) as error:
            if not is_no_room(error) and not isinstance(error, ObjectStoreError):
                raise
            self._note_not_kept(error)
            await self._uploads.cancel(self._upload)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _close_unread(self) -> None:
        if self._ended and not self._readers and self._file is not None:
            self._file.close()
            self._file = None
            self._release()
