"""One upload session: writes and hashes the bytes of a blob as they arrive.

The bytes are on disk and the session is in the index, so that a client can continue after a restart. The hash
is then computed again from the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from brokenreg.bulk.pipeline import PipelinedWriter, Source
from brokenreg.concurrency import shielded
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import StorageClosedError, TooLargeError, no_room
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.quota import Room
from brokenreg.storage.records import UploadRow
from brokenreg.storage.uploads.batched_writer import BatchedWriter
from brokenreg.storage.uploads.early_sync import EarlySync

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

    from brokenreg.storage.objects.growing_object import GrowingObject

_WRITTEN = 256 * 1024
"""Bytes per write: with larger pieces, Linux 6.18 with ext4 takes twice as long for the same bytes."""

_PART = 512 * 1024
"""Bytes per read when the hash is computed from the file."""


def _nothing() -> None:
    """Ignore that bytes were written."""


def _any_size(_: int) -> bool:
    return True


def _no_hash(_: memoryview) -> None:
    """Skip the hash, which is computed from the file later."""


class UploadSession:
    """One session. A request claims it with `with upload:`. Only one request at a time can do so."""

    def __init__(
        self, row: UploadRow, folder: DataFolder, room: Room, growing_object: GrowingObject | None = None
    ) -> None:
        self.row = row
        self.growing_object = growing_object
        """The object to which the bytes are sent while they arrive, if there is an object store."""
        self.is_sent_early = True
        """Whether that begins before the end of the upload."""
        self._folder = folder
        self._room = room
        self.path = folder.upload(row.id)
        self.offset = 0
        """The size of the file in bytes, while the session is claimed."""
        self.limit: int | None = None
        """Maximum size of the file in bytes. A write that would exceed it raises `TooLargeError`."""
        self.allows_size: Callable[[int], bool] = _any_size
        """Returns whether the file may grow to that size. If not, EDQUOT is raised."""
        self._descriptor = -1
        self._hasher: Hash = hashlib.new(row.algorithm)
        self._hashed = 0
        self._early_sync = EarlySync()
        self._is_given_away = False
        """Whether the file may have become a blob."""

    @property
    def is_claimed(self) -> bool:
        return self._descriptor >= 0

    @property
    def received(self) -> int:
        """Return the number of received bytes, whether or not the session is claimed."""
        if self.is_claimed:
            return self.offset
        return self.path.stat().st_size if self.path.exists() else 0

    def __enter__(self) -> UploadSession:
        """Claim the session. Raise `OCIError` 409 if another request is writing to it, or `StorageError`."""
        if self.is_claimed:
            raise OCIError(
                409, ErrorCode.BLOB_UPLOAD_INVALID, "another request is writing to this upload session"
            )
        self._folder.check()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._is_given_away = False
        self.offset = os.fstat(self._descriptor).st_size
        if self._hashed > self.offset:  # the link of the blob could not be stored, and the file was removed
            self._reset_hash()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    async def append(self, chunks: AsyncIterator[bytes]) -> None:
        """Append all chunks, or none if they end with an exception. Raise as `all_or_nothing` does."""
        await self.all_or_nothing(self.grow(chunks))

    async def all_or_nothing(self, growing: Awaitable[None]) -> None:
        """Append what `grow` or `grow_from` appends, or nothing if that ends with an exception.

        Raise `FolderGoneError` if the file is no longer at its path.
        """
        start = self.offset
        try:
            await growing
            self._folder.check()
        except BaseException:
            await self.undo(start)
            raise

    async def grow(self, chunks: AsyncIterator[bytes], written: Callable[[], None] = _nothing) -> None:
        """Append all chunks. If they end with an exception, the chunks before it stay.

        `written` is called on the event loop whenever `offset`, the readable size, has changed. Raise
        `OSError` if a batch cannot be written or the quota has no room for it.
        """
        writer = BatchedWriter(self._room, self._write, self._noting_growth(written))
        try:
            async for chunk in chunks:
                await writer.add(chunk)
        finally:
            await writer.end()

    async def grow_from(self, source: Source, written: Callable[[], None]) -> None:
        """Append all bytes of a source that threads read, as `grow` does. Use it in a `writer_slot`."""
        loop = asyncio.get_running_loop()

        def write(data: memoryview) -> None:
            if not self._room.quota.take(len(data)):
                asyncio.run_coroutine_threadsafe(self._room.take(len(data)), loop).result()
            self._write_all(data)

        digest = self._hash if self._hashed == self.offset else _no_hash
        await PipelinedWriter(source, write, digest, self._noting_growth(written)).run()

    def hasher(self) -> Hash:
        """Return a copy of the hash. It covers all received bytes if they were hashed on arrival."""
        return self._hasher.copy()

    async def digest(self, algorithm: str) -> Digest:
        """Return the digest of all received bytes."""
        return Digest.from_hash(await FILE_THREADS.run(self._caught_up_hash, algorithm))

    async def adopt_into(self, blobs: BlobStore, digest: Digest) -> None:
        """Turn the received bytes into a blob."""
        await FILE_THREADS.run(self._adopt_into, blobs, digest)

    async def undo(self, start: int) -> None:
        """Remove the bytes after `start`, even if the file has become a blob: that keeps them."""
        await shielded(self._undo(start))

    def _adopt_into(self, blobs: BlobStore, digest: Digest) -> None:
        self._early_sync.finish()
        self._is_given_away = True
        blobs.adopt(self._descriptor, self.path, digest)

    def _write(self, data: bytes) -> None:
        """Write and hash all of the data, or nothing."""
        is_hashed = self._hashed == self.offset
        self._write_all(memoryview(data))
        if is_hashed:
            self._hash(data)

    def _write_all(self, data: memoryview) -> None:
        """Write all of the data or nothing. The quota has already reserved room for it."""
        size, rest = len(data), data
        if self.limit is not None and self.offset + size > self.limit:
            self._room.quota.give_back(size)
            raise TooLargeError
        try:
            if not self.allows_size(self.offset + size):
                raise no_room()
            while rest:
                done = size - len(rest)
                rest = rest[os.pwrite(self._descriptor, rest[:_WRITTEN], self.offset + done) :]
        except OSError:
            os.ftruncate(self._descriptor, self.offset)
            self._room.quota.give_back(size)
            raise
        self.offset += size
        self._early_sync.grown(self._descriptor, self.offset)

    def _hash(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._hashed += len(data)

    def _noting_growth(self, written: Callable[[], None]) -> Callable[[], None]:
        """Return what is called after each write: `written`, and whatever sends the new bytes."""
        growing_object = self.growing_object
        if growing_object is None or not self.is_sent_early:
            return written

        def note() -> None:
            growing_object.grown(self.offset)
            written()

        return note

    async def _undo(self, start: int) -> None:
        if self.growing_object is not None:
            self.growing_object.shrink(start)
        await FILE_THREADS.run(self._roll_back, start)

    def _roll_back(self, start: int) -> None:
        if self._is_given_away and not self.path.exists():
            start = self._continue_in_copy(start)
        else:
            os.ftruncate(self._descriptor, start)
            self._room.quota.give_back(self.offset - start)
        self.offset = start
        if self._hashed > start:
            self._reset_hash()

    def _continue_in_copy(self, size: int) -> int:
        """Use another file, with the first bytes of the blob. Return its size: 0 if there is no room."""
        copy = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = self._copy_first(size, copy)
            os.dup2(copy, self._descriptor, inheritable=False)
        finally:
            os.close(copy)
        self._early_sync = EarlySync()
        self._is_given_away = False
        return size

    def _copy_first(self, size: int, copy: int) -> int:
        if not self._room.quota.take(size):
            return 0
        try:
            for offset in range(0, size, _PART):
                rest = memoryview(os.pread(self._descriptor, min(_PART, size - offset), offset))
                while rest:
                    rest = rest[os.write(copy, rest) :]
        except OSError:  # the disk is full, for example
            os.ftruncate(copy, 0)
            self._room.quota.give_back(size)
            return 0
        return size

    def _reset_hash(self) -> None:
        self._hasher = hashlib.new(self.row.algorithm)
        self._hashed = 0

    def _caught_up_hash(self, algorithm: str) -> Hash:
        """Return the hash of the whole file, reading the parts that were not hashed on arrival.

        Raise `StorageClosedError` if the storage is closed while this runs: a large file takes minutes.
        """
        if algorithm != self.row.algorithm:
            hasher, hashed = hashlib.new(algorithm), 0
        else:
            hasher, hashed = self._hasher, self._hashed
        while chunk := os.pread(self._descriptor, _PART, hashed):
            hasher.update(chunk)
            hashed += len(chunk)
            if not self._folder.is_claimed:
                raise StorageClosedError
        if hasher is self._hasher:
            self._hashed = hashed
        return hasher
