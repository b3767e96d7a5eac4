"""One upload session: what was received of a blob, written and hashed as it comes.

The bytes are on disk and the session in the index, so that a client can go on after a restart; the hash
then catches up with the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from brokenreg.concurrency import shielded
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.batches import Batches
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import StorageClosedError, TooLargeError, no_room
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import UploadRow
from brokenreg.storage.pipelined_writer import PipelinedWriter, Source
from brokenreg.storage.quota import Room

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_WRITTEN = 256 * 1024
"""Bytes written at a time: Linux 6.18 with ext4 takes twice as long for as many bytes in larger pieces."""

_PART = 512 * 1024
"""Bytes read at a time by a hash that catches up."""


def _nothing() -> None:
    """Nobody wants to know."""


def _anything(_: int) -> bool:
    return True


def _no_hash(_: memoryview) -> None:
    """It catches up later."""


class Upload:
    """One session. It is for one request at a time, which claims it with `with upload:`."""

    def __init__(self, row: UploadRow, folder: DataFolder, room: Room) -> None:
        self.row = row
        self._folder = folder
        self._room = room
        self.path = folder.upload(row.id)
        self.offset = 0
        """Size of the file in bytes, while the session is claimed."""
        self.limit: int | None = None
        """Maximum size of the file in bytes. A write that would exceed it raises `TooLargeError`."""
        self.may_have: Callable[[int], bool] = _anything
        """Returns whether the file may have that size, given the other files; if not, EDQUOT is raised."""
        self._descriptor = -1
        self._hasher: Hash = hashlib.new(row.algorithm)
        self._hashed = 0

    @property
    def is_claimed(self) -> bool:
        return self._descriptor >= 0

    @property
    def received(self) -> int:
        """Bytes received so far, whether or not anybody has claimed the session."""
        if self.is_claimed:
            return self.offset
        return self.path.stat().st_size if self.path.exists() else 0

    def __enter__(self) -> Upload:
        """Claim the session. Raise `OCIError` 409 if another request is writing to it, or `StorageError`."""
        if self.is_claimed:
            raise OCIError(
                409, ErrorCode.BLOB_UPLOAD_INVALID, "another request is writing to this upload session"
            )
        self._folder.check()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = os.fstat(self._descriptor).st_size
        if self._hashed > self.offset:  # the bytes went, with a blob whose link could not be stored
            self._reset_hash()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    async def append(self, chunks: AsyncIterator[bytes]) -> None:
        """Append all chunks. If they end with an exception, all of them are removed again.

        Raise `FolderGoneError` if the file is no longer at its path.
        """
        start = self.offset
        try:
            await self.grow(chunks)
            self._folder.check()
        except BaseException:
            await shielded(FILE_THREADS.run(self._roll_back, start))
            raise

    async def grow(self, chunks: AsyncIterator[bytes], written: Callable[[], None] = _nothing) -> None:
        """Write all chunks at the end. If they end in an exception, those before it stay.

        `written` is called on the loop whenever `offset` has moved: so far the file can be read. Raise
        `OSError` if a batch cannot be written or the quota has no room for it; those before it stay.
        """
        batches = Batches(self._room, self._write, written)
        try:
            async for chunk in chunks:
                await batches.add(chunk)
        finally:
            await batches.end()

    async def take_in(self, source: Source, written: Callable[[], None]) -> None:
        """As `grow`, of a source that threads read; within a `lane`. Raise what the source raises, too."""
        loop = asyncio.get_running_loop()

        def write(data: memoryview) -> None:
            if not self._room.quota.take(len(data)):
                asyncio.run_coroutine_threadsafe(self._room.take(len(data)), loop).result()
            self._put(data)

        digest = self._hash if self._hashed == self.offset else _no_hash
        await PipelinedWriter(source, write, digest, written).run()

    def hasher(self) -> Hash:
        """A copy of the hash over the first `offset` bytes, if all of them came since we started."""
        return self._hasher.copy()

    async def digest(self, algorithm: str) -> Digest:
        """The digest of all that was received."""
        return Digest.from_hash(await FILE_THREADS.run(self._caught_up_hash, algorithm))

    async def adopt_into(self, blobs: BlobStore, digest: Digest) -> None:
        """Make the received bytes that blob."""
        await FILE_THREADS.run(blobs.adopt, self._descriptor, self.path, digest)

    def _write(self, data: bytes) -> None:
        """All of it, or nothing."""
        is_hashed = self._hashed == self.offset
        self._put(memoryview(data))
        if is_hashed:
            self._hash(data)

    def _put(self, data: memoryview) -> None:
        """All of it, or nothing. There is room for it."""
        size, rest = len(data), data
        if self.limit is not None and self.offset + size > self.limit:
            self._room.quota.give_back(size)
            raise TooLargeError
        try:
            if not self.may_have(self.offset + size):
                raise no_room()
            while rest:
                done = size - len(rest)
                rest = rest[os.pwrite(self._descriptor, rest[:_WRITTEN], self.offset + done) :]
        except OSError:
            os.ftruncate(self._descriptor, self.offset)
            self._room.quota.give_back(size)
            raise
        self.offset += size

    def _hash(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._hashed += len(data)

    def _roll_back(self, start: int) -> None:
        os.ftruncate(self._descriptor, start)
        self._room.quota.give_back(self.offset - start)
        self.offset = start
        if self._hashed > start:
            self._reset_hash()

    def _reset_hash(self) -> None:
        self._hasher = hashlib.new(self.row.algorithm)
        self._hashed = 0

    def _caught_up_hash(self, algorithm: str) -> Hash:
        """Return the hash of the whole file, reading the parts that were not hashed on arrival.

        Raise `StorageClosedError` if the storage closes meanwhile: a large file takes minutes.
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
