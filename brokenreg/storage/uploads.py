"""Upload sessions: what was received of a blob, written and hashed as it comes.

The bytes are on disk and the session in the index, so that a client can go on after a restart; the hash
then catches up with the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.folder import DataFolder
from brokenreg.storage.index import Index, UploadRow
from brokenreg.storage.records import RepositoryKey

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_FIRST_BATCH = 64 * 1024
"""Bytes after which the first batch is written: somebody may wait to read them."""

_BATCH = 512 * 1024
"""Bytes gathered before a thread writes and hashes them; one batch is written while the next comes in."""


def _nothing() -> None:
    """Nobody wants to know."""


class Upload:
    """One session. It is for one request at a time, which claims it with `with upload:`."""

    def __init__(self, row: UploadRow, folder: DataFolder) -> None:
        self.row = row
        self.path = folder.upload(row.id)
        self.offset = 0
        self._descriptor = -1
        self._hasher: Hash = hashlib.new(row.algorithm)
        self._hashed = 0
        self._writing: asyncio.Future[None] | None = None

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
        """Claim the session. Raise `OCIError` 409 if another request is writing to it."""
        if self.is_claimed:
            raise OCIError(
                409, ErrorCode.BLOB_UPLOAD_INVALID, "another request is writing to this upload session"
            )
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.offset = os.fstat(self._descriptor).st_size
        if self._hashed > self.offset:  # the bytes went, with a blob whose link could not be stored
            self._reset_hash()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    async def append(self, chunks: AsyncIterator[bytes]) -> None:
        """Write all chunks at the end. If they end in an exception, none of them stays."""
        start = self.offset
        try:
            await self.grow(chunks)
        except BaseException:
            await self._roll_back(start)
            raise

    async def grow(self, chunks: AsyncIterator[bytes], written: Callable[[], None] = _nothing) -> None:
        """Write all chunks at the end. If they end in an exception, those before it stay.

        `written` is called on the loop whenever `offset` has moved: so far the file can be read.
        """
        writing: asyncio.Future[None] | None = None
        batch: list[bytes] = []
        size = 0
        try:
            async for chunk in chunks:
                batch.append(chunk)
                size += len(chunk)
                if size >= _BATCH or (writing is None and size >= _FIRST_BATCH):
                    if writing is not None:
                        await asyncio.shield(writing)
                    writing = self._write_later(batch, written)
                    batch, size = [], 0
        finally:
            # Whether they have ended well or not: what came is kept.
            if writing is not None:
                await asyncio.shield(writing)
            if batch:
                await asyncio.shield(self._write_later(batch, written))

    def hasher(self) -> Hash:
        """A copy of the hash over what is on disk."""
        return self._hasher.copy()

    async def digest(self, algorithm: str) -> Digest:
        """The digest of all that was received."""
        return Digest.from_hash(await asyncio.to_thread(self._caught_up_hash, algorithm))

    async def adopt_into(self, blobs: BlobStore, digest: Digest) -> None:
        """Make the received bytes that blob."""
        await asyncio.to_thread(blobs.adopt, self._descriptor, self.path, digest)

    def _write_later(self, batch: list[bytes], written: Callable[[], None]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, self._write, b"".join(batch))
        self._writing.add_done_callback(lambda _: written())
        return self._writing

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.pwrite(self._descriptor, view, self.offset + len(data) - len(view)) :]
        if self._hashed == self.offset:
            self._hasher.update(data)
            self._hashed += len(data)
        self.offset += len(data)

    async def _roll_back(self, start: int) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()  # the first failure is the one that is raised
        self.offset = start
        await asyncio.to_thread(os.ftruncate, self._descriptor, start)
        if self._hashed > start:
            self._reset_hash()

    def _reset_hash(self) -> None:
        self._hasher = hashlib.new(self.row.algorithm)
        self._hashed = 0

    def _caught_up_hash(self, algorithm: str) -> Hash:
        """The hash over the whole file; reads again what was not hashed as it came."""
        if algorithm != self.row.algorithm:
            hasher, hashed = hashlib.new(algorithm), 0
        else:
            hasher, hashed = self._hasher, self._hashed
        while chunk := os.pread(self._descriptor, _BATCH, hashed):
            hasher.update(chunk)
            hashed += len(chunk)
        if hasher is self._hasher:
            self._hashed = hashed
        return hasher


class UploadStore:
    """All sessions, and the way from a session to a blob."""

    def __init__(self, folder: DataFolder, index: Index, blobs: BlobStore) -> None:
        self._folder = folder
        self._index = index
        self._blobs = blobs
        self._sessions: dict[str, Upload] = {}
        self._condemned: set[str] = set()

    async def start(self, key: RepositoryKey, algorithm: str) -> str:
        """Open a session that survives a restart; its id."""
        upload = self.start_unlisted(key, algorithm)
        with upload:
            try:
                await self._index.open_upload(upload.row)
            except BaseException:
                await self.cancel(upload)
                raise
        return upload.row.id

    def start_unlisted(self, key: RepositoryKey, algorithm: str) -> Upload:
        """Open a session for one request alone: nobody can come back to it."""
        upload = Upload(UploadRow(uuid.uuid4().hex, key, algorithm), self._folder)
        self._sessions[upload.row.id] = upload
        return upload

    def find(self, key: RepositoryKey, upload_id: str) -> Upload:
        """The session of that id in that repository. Raise `OCIError` 404 BLOB_UPLOAD_UNKNOWN."""
        row = self._index.uploads.get(upload_id)
        if row is None or row.key != key or upload_id in self._condemned:
            raise OCIError(
                404,
                ErrorCode.BLOB_UPLOAD_UNKNOWN,
                "no such upload session: it was never begun, has ended or has expired",
            )
        return self._sessions.setdefault(upload_id, Upload(row, self._folder))

    async def finish(self, upload: Upload, digest: Digest) -> None:
        """Turn a claimed session into a blob of its repository; durable once this returns.

        Raise `OCIError` 400 DIGEST_INVALID if the bytes are others; the session is then gone.
        """
        received = await upload.digest(digest.algorithm)
        if received != digest:
            await self.cancel(upload)
            raise OCIError(
                400,
                ErrorCode.DIGEST_INVALID,
                f"the {upload.offset} bytes received have the digest {received}, not {digest}",
            )
        with self._blobs.pin(digest):
            await upload.adopt_into(self._blobs, digest)
            await self._index.link_blob(upload.row.key, digest, time.time(), upload_id=upload.row.id)
        self._sessions.pop(upload.row.id, None)

    async def cancel(self, upload: Upload) -> None:
        """End a session and remove what it received."""
        await self.remove([upload.row.id])

    def is_claimed(self, upload_id: str) -> bool:
        """Whether a request is at work on that session right now."""
        upload = self._sessions.get(upload_id)
        return upload is not None and upload.is_claimed

    async def remove(self, upload_ids: Collection[str]) -> None:
        """End sessions and remove their files; from this call on nobody finds them."""
        self._condemned.update(upload_ids)
        try:
            await self._index.close_uploads([each for each in upload_ids if each in self._index.uploads])
            await asyncio.to_thread(self._unlink, upload_ids)
        finally:
            self._condemned.difference_update(upload_ids)
        for upload_id in upload_ids:
            self._sessions.pop(upload_id, None)

    def _unlink(self, upload_ids: Collection[str]) -> None:
        for upload_id in upload_ids:
            self._folder.upload(upload_id).unlink(missing_ok=True)
