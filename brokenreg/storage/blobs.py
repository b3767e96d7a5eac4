"""Blobs: complete files with verified content, named by their digest."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from brokenreg.oci.digests import Digest
from brokenreg.storage.folder import FILE_THREADS, DataFolder, sync_folder
from brokenreg.storage.quota import Quota

_NOT_CACHED = (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class BlobFile:
    """A blob that is open for reading. It stays readable even if it is deleted."""

    def __init__(self, path: Path | str) -> None:
        self.file = io.FileIO(path)
        self.size = os.fstat(self.file.fileno()).st_size

    def is_cached(self, offset: int, length: int) -> bool:
        """Return whether the kernel has these bytes in memory, so that reading them does not block.

        Only both ends are checked: the kernel reads ahead, so the bytes between them are in memory too.
        """
        return self._has_page(offset) and self._has_page(offset + length - 1)

    async def read(self, offset: int, length: int) -> bytes:
        """Return bytes: immediately if the kernel has them in memory, or else after a thread has read them.

        A thread is used because a read from disk would block the event loop.
        """
        if self.is_cached(offset, length):
            return os.pread(self.file.fileno(), length, offset)
        return await FILE_THREADS.run(os.pread, self.file.fileno(), length, offset)

    def read_blocking(self, offset: int, length: int) -> bytes:
        """Return bytes. Blocks, so call it in a thread."""
        return os.pread(self.file.fileno(), length, offset)

    def _has_page(self, offset: int) -> bool:
        if sys.platform != "linux":
            return False
        try:
            return os.preadv(self.file.fileno(), [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except OSError as error:
            if error.errno not in _NOT_CACHED:
                raise
            return False

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> BlobFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlobStore:
    """The blobs of the data folder. A pinned blob is never removed: a request is using it."""

    def __init__(self, folder: DataFolder, quota: Quota) -> None:
        self._folder = folder
        self._place = str(folder.blobs)
        self._quota = quota
        self._adopting = threading.Lock()
        self._pins: Counter[Digest] = Counter()

    def size(self, digest: Digest) -> int | None:
        """Return the size of a blob in bytes, or None if it is missing."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return None

    def modified(self, digest: Digest) -> float | None:
        """Return the time when a blob was stored, in seconds since the epoch, or None if it is missing."""
        try:
            return self._folder.blob(digest).stat().st_mtime
        except FileNotFoundError:
            return None

    def quarantined_size(self, digest: Digest) -> int | None:
        """Return the size of a corrupt blob in the quarantine, in bytes, or None."""
        try:
            return self._folder.quarantined(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, digest: Digest) -> BlobFile | None:
        """Open a blob. Return None if it is missing."""
        try:
            return BlobFile(self.path(digest))
        except FileNotFoundError:
            return None

    def path(self, digest: Digest) -> str:
        """Return the path as text: creating a `Path` takes longer than opening the file."""
        return f"{self._place}/{digest.replace(':', '/', 1)}"

    @contextmanager
    def pin(self, digest: Digest) -> Iterator[None]:
        """Keep a blob from being removed within the block."""
        self._pins[digest] += 1
        try:
            yield
        finally:
            self._pins[digest] -= 1
            if not self._pins[digest]:
                del self._pins[digest]

    def is_pinned(self, digest: Digest) -> bool:
        """Return whether a blob is pinned."""
        return digest in self._pins

    def adopt(self, descriptor: int, received: Path, digest: Digest) -> None:
        """Turn a received file with a verified digest into a blob, atomically and durably. Blocks."""
        os.fsync(descriptor)
        os.utime(descriptor)  # the collector counts the age of the blob from now on
        target = self._folder.blob(digest)
        with self._adopting:
            replaced = self.size(digest)
            received.rename(target)
        self._quota.give_back(replaced or 0)
        self._quota.remove([self._folder.quarantined(digest)])
        sync_folder(target.parent)

    def quarantine(self, digest: Digest, file: BlobFile) -> bool:
        """Move a corrupt blob to the quarantine. Return False if another file has replaced `file`."""
        path = self._folder.blob(digest)
        with self._adopting:
            try:
                is_same = os.path.samestat(os.fstat(file.file.fileno()), path.stat())
            except FileNotFoundError:
                return False
            if is_same:
                path.replace(self._folder.quarantined(digest))
        return is_same

    def take_out(self, digest: Digest) -> Path | None:
        """Rename a blob so that it is no longer found, and return its new path.

        Return None if it is pinned or missing. The caller deletes the file in a thread, because that takes
        long for a large file.
        """
        if digest in self._pins:
            return None
        doomed = self._folder.uploads / uuid.uuid4().hex
        try:
            self._folder.blob(digest).rename(doomed)
        except FileNotFoundError:
            return None
        return doomed
