"""Starts, finds and removes upload sessions, and turns a finished one into a blob."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.blobs import BlobStore
from brokenreg.storage.errors import FolderGoneError
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.index import Index
from brokenreg.storage.quota import Room
from brokenreg.storage.records import RepositoryKey, UploadRow
from brokenreg.storage.uploads.upload_session import UploadSession
from brokenreg.wording import counted

if TYPE_CHECKING:
    from brokenreg.storage.objects.object_uploads import ObjectUploads

MOST_SESSIONS = 10_000
"""Maximum number of open sessions. Each uses about 2 KiB of memory and one file."""


class UploadStore:
    """All upload sessions of the data folder."""

    def __init__(
        self,
        folder: DataFolder,
        index: Index,
        blobs: BlobStore,
        room: Room,
        objects: ObjectUploads | None = None,
    ) -> None:
        """With `objects`, received blobs are stored as objects, and their files are only copies."""
        self._objects = objects
        self._folder = folder
        self._room = room
        self._index = index
        self._blobs = blobs
        self._sessions: dict[str, UploadSession] = {}
        self._removing: set[str] = set()
        self._last_use = -math.inf
        """When a request for a session last began."""

    async def start(self, key: RepositoryKey, algorithm: str) -> str:
        """Open a session that survives a restart, and return its id.

        Beyond `MOST_SESSIONS`, the least recently used session ends, as after an hour without requests.
        """
        if len(self._index.uploads) >= MOST_SESSIONS:
            idle = (upload_id for upload_id in self._index.uploads if not self.is_claimed(upload_id))
            await self.remove([*islice(idle, 1 + len(self._index.uploads) - MOST_SESSIONS)])
        upload = self.start_unlisted(key, algorithm)
        self._last_use = time.monotonic()
        with upload:
            try:
                await self._index.open_upload(upload.row)
            except BaseException:
                await self.cancel(upload)
                raise
        return upload.row.id

    def start_unlisted(self, key: RepositoryKey, algorithm: str) -> UploadSession:
        """Open a session for one request. It cannot be continued later."""
        upload = self._session(UploadRow(f"{self._index.upload_prefix}{uuid.uuid4().hex}", key, algorithm))
        self._sessions[upload.row.id] = upload
        return upload

    def start_copy(self, algorithm: str) -> UploadSession:
        """Open a session for a blob that is in the object store already. `forget` it when it is a blob."""
        row = UploadRow(uuid.uuid4().hex, ("", ""), algorithm)
        upload = self._sessions[row.id] = UploadSession(row, self._folder, self._room)
        return upload

    def forget(self, upload: UploadSession) -> None:
        """Forget a session whose file has become a blob."""
        self._sessions.pop(upload.row.id, None)

    def _session(self, row: UploadRow) -> UploadSession:
        growing_object = None
        if self._objects is not None:
            growing_object = self._objects.growing(row.id, self._folder.upload(row.id))
        return UploadSession(row, self._folder, self._room, growing_object)

    def find(self, key: RepositoryKey, upload_id: str) -> UploadSession:
        """Return the session with that id in that repository. Raise `OCIError` 404 BLOB_UPLOAD_UNKNOWN."""
        row = self._index.uploads.get(upload_id)
        if row is None or row.key != key or upload_id in self._removing:
            raise OCIError(
                404,
                ErrorCode.BLOB_UPLOAD_UNKNOWN,
                "no such upload session: it was never started, has ended or has expired",
            )
        self._index.touch_upload(upload_id)
        self._last_use = time.monotonic()
        upload = self._sessions.get(upload_id)
        if upload is None:
            upload = self._sessions[upload_id] = self._session(row)
        return upload

    async def finish(self, upload: UploadSession, digest: Digest, *, undo_to: int | None = None) -> None:
        """Turn a claimed session into a blob of its repository. It is durable when this returns.

        Raise `OCIError` 400 DIGEST_INVALID and remove the session if the digest is wrong. If another error
        leaves the session open, remove its bytes after `undo_to`, so that a client can send them again.
        """
        try:
            await self._finish(upload, digest)
        except FolderGoneError:  # with the session
            raise
        except Exception:
            if undo_to is not None and upload.row.id in self._index.uploads:
                await upload.undo(undo_to)
            raise

    async def keep_copy(self, upload: UploadSession, digest: Digest) -> None:
        """Keep the file of a claimed, verified session as the copy of a blob that the object store has."""
        assert self._objects is not None  # noqa: S101 - for the type checker
        if upload.growing_object is not None:
            upload.growing_object.abort()
        with self._blobs.pin(digest):
            await self._objects.keep_copy(upload, digest)
        self.forget(upload)

    async def _finish(self, upload: UploadSession, digest: Digest) -> None:
        received = await upload.digest(digest.algorithm)
        if received != digest:
            await self.cancel(upload)
            raise OCIError(
                400,
                ErrorCode.DIGEST_INVALID,
                f"received {counted(upload.offset, 'byte')} with the digest {received}, not {digest}",
            )
        with self._blobs.pin(digest):
            if self._objects is None:
                await self._keep(upload, digest)
            else:
                await self._objects.keep(upload, digest)
        self.forget(upload)

    async def _keep(self, upload: UploadSession, digest: Digest) -> None:
        """Turn the file of a verified session into a blob, and link it."""
        try:
            await upload.adopt_into(self._blobs, digest)
        except FileNotFoundError:
            self._folder.check()  # raises the reason
            raise
        await self._index.link_blob(
            upload.row.key, digest, time.time(), upload_id=upload.row.id, size=upload.offset
        )

    async def cancel(self, upload: UploadSession) -> None:
        """End a session and remove its bytes."""
        await self.remove([upload.row.id])

    def is_claimed(self, upload_id: str) -> bool:
        """Return whether a request has claimed that session."""
        upload = self._sessions.get(upload_id)
        return upload is not None and upload.is_claimed

    def is_in_use(self, seconds: float) -> bool:
        """Return whether a request uses an open session, or has begun to in the last `seconds`."""
        if any(self.is_claimed(upload_id) for upload_id in self._index.uploads):
            return True
        return bool(self._index.uploads) and time.monotonic() - self._last_use < seconds

    async def remove(self, upload_ids: Collection[str]) -> None:
        """End sessions and remove their files. From this call on, `find` does not return them."""
        self._removing.update(upload_ids)
        try:
            if listed := [each for each in upload_ids if each in self._index.uploads]:
                await self._index.close_uploads(listed)
            self._stop_sending(upload_ids)
            await FILE_THREADS.run(self._room.quota.remove, list(map(self._folder.upload, upload_ids)))
        finally:
            self._removing.difference_update(upload_ids)
        for upload_id in upload_ids:
            self._sessions.pop(upload_id, None)

    def _stop_sending(self, upload_ids: Collection[str]) -> None:
        """Stop sending sessions to the object store."""
        for upload_id in upload_ids:
            upload = self._sessions.get(upload_id)
            if upload is not None and upload.growing_object is not None:
                upload.growing_object.abort()

    def stop_sending(self) -> None:
        """Stop sending all sessions to the object store. They begin again when they are continued."""
        self._stop_sending(self._sessions)
