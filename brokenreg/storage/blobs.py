"""Blobs: whole, checked files named by their digest."""

from __future__ import annotations

import errno
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
    """A blob opened for reading; it stays readable if it is deleted meanwhile."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb", buffering=0)
        self.size = os.fstat(self.file.fileno()).st_size

    def is_cached(self, offset: int, length: int) -> bool:
        """Whether the kernel has these bytes in memory, so that reading them stops nobody.

        The ends are asked for; the kernel reads ahead, so what lies between is there too.
        """
        return self._has_page(offset) and self._has_page(offset + length - 1)

    async def read(self, offset: int, length: int) -> bytes:
        """The bytes there: at once if the kernel has them in memory, else by a thread.

        A plain read of what is not in memory would stop the loop for as long as the disk takes.
        """
        if self.is_cached(offset, length):
            return os.pread(self.file.fileno(), length, offset)
        return await FILE_THREADS.run(os.pread, self.file.fileno(), length, offset)

    def read_blocking(self, offset: int, length: int) -> bytes:
        """The bytes there, for those who are in a thread of their own."""
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
    """The blobs of the data folder. A pinned blob is never removed: somebody is about to refer to it."""

    def __init__(self, folder: DataFolder, quota: Quota) -> None:
        self._folder = folder
        self._quota = quota
        self._adopting = threading.Lock()
        self._pins: Counter[Digest] = Counter()

    def size(self, digest: Digest) -> int | None:
        """Bytes of the blob; None if it is not here."""
        try:
            return self._folder.blob(digest).stat().st_size
        except FileNotFoundError:
            return None

    def modified(self, digest: Digest) -> float | None:
        """When the blob last came in, in seconds since the epoch; None if it is not here."""
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
        """Open the blob; None if it is not here."""
        try:
            return BlobFile(self._folder.blob(digest))
        except FileNotFoundError:
            return None

    @contextmanager
    def pin(self, digest: Digest) -> Iterator[None]:
        """Keep the blob from being removed until its link is in the index."""
        self._pins[digest] += 1
        try:
            yield
        finally:
            self._pins[digest] -= 1
            if not self._pins[digest]:
                del self._pins[digest]

    def is_pinned(self, digest: Digest) -> bool:
        """Whether somebody is at work with the blob."""
        return digest in self._pins

    def adopt(self, descriptor: int, received: Path, digest: Digest) -> None:
        """Make a received file, whose digest was checked, the blob: durably, and never half. Blocks."""
        os.fsync(descriptor)
        os.utime(descriptor)  # its age as a blob counts from now
        target = self._folder.blob(digest)
        with self._adopting:
            replaced = self.size(digest)
            received.rename(target)
        self._quota.give_back(replaced or 0)
        self._quota.remove([self._folder.quarantined(digest)])
        sync_folder(target.parent)

    def quarantine(self, digest: Digest, file: BlobFile) -> bool:
        """Move a corrupt blob to the quarantine. False if another file has replaced `file` meanwhile."""
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
        """Make an unpinned blob invisible at once; None if it is pinned or gone. The caller has it removed.

        Removing a large file takes long, so it is a thread's work; renaming is not.
        """
        if digest in self._pins:
            return None
        doomed = self._folder.uploads / uuid.uuid4().hex
        try:
            self._folder.blob(digest).rename(doomed)
        except FileNotFoundError:
            return None
        return doomed
