"""The data folder: its layout and its lock.

```
DATA/lock                     locked while brokenreg runs
DATA/replica                  the name of this folder among those that share a database
DATA/index.sqlite3            the index (and its -wal)
DATA/blobs/<algorithm>/<hex>  complete, verified blobs
DATA/uploads/<id>             the received bytes of a blob
DATA/quarantine/<algorithm>-<hex>  corrupt blobs, which are no longer served
DATA/tls/                     the self-signed certificate, if any, and flawed certificates
```
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from brokenreg.concurrency import ThreadPool
from brokenreg.oci.digests import ALGORITHMS, Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_upload_id, is_replica_name
from brokenreg.storage.errors import FolderGoneError, FolderLockedError, StorageClosedError, StorageError

FILE_THREADS = ThreadPool("files", min(32, (os.cpu_count() or 1) + 4))
"""Threads for work on files, so that pushes and pulls do not wait for exports or long documents."""


class DataFolder:
    """A data folder that this process locks, from `claim` to `release`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index.sqlite3"
        self.blobs = root / "blobs"
        self.uploads = root / "uploads"
        self.tls = root / "tls"
        self.quarantine = root / "quarantine"
        self._lock: int | None = None

    def claim(self) -> None:
        """Create the folder (0700) and lock it. Raise `StorageError`, or `FolderLockedError`."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in (
                self.blobs,
                self.uploads,
                self.quarantine,
                *(self.blobs / name for name in ALGORITHMS),
            ):
                folder.mkdir(mode=0o700, exist_ok=True)
        except BlockingIOError:
            self.release()
            raise FolderLockedError(
                f"the data folder {self.root} is in use by another brokenreg; "
                "stop that one, or use --data DIR with another folder"
            ) from None
        except OSError as error:
            self.release()
            raise StorageError(
                f"cannot use the data folder {self.root}: {error.strerror}; use --data DIR with a folder "
                "that you can write to"
            ) from None

    def replica_name(self) -> str:
        """Return the name of this folder among those that share a database, 8 hex digits. Create it once.

        Raise `StorageError`.
        """
        path = self.root / "replica"
        with contextlib.suppress(FileNotFoundError):
            name = path.read_text("ascii", "replace").strip()
            if not is_replica_name(name):
                raise StorageError(f"invalid name in {path}: use 8 hex digits, or remove the file")
            return name
        name = secrets.token_hex(4)
        new = path.with_suffix(".new")
        try:
            with new.open("w", encoding="ascii") as file:
                file.write(name)
                file.flush()
                os.fsync(file.fileno())  # otherwise, the file may be empty after a power failure
            new.rename(path)
            sync_folder(self.root)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from None
        return name

    def release(self) -> None:
        """Release the lock. The lock file stays: if it were removed, two processes could hold the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def check(self) -> None:
        """Raise `FolderGoneError` if the folder was removed or replaced, or `StorageClosedError`."""
        if self._lock is None:
            raise StorageClosedError
        try:
            is_there = os.path.samestat(os.fstat(self._lock), os.stat(self.root / "lock"))
        except OSError:
            is_there = False
        if not is_there:
            raise FolderGoneError

    @property
    def is_claimed(self) -> bool:
        """Return whether this process has claimed the folder and not released it."""
        return self._lock is not None

    def blob(self, digest: Digest) -> Path:
        """Return the path of a blob, whether or not it exists."""
        return self.blobs / digest.algorithm / digest.encoded

    def quarantined(self, digest: Digest) -> Path:
        """Return the path of a corrupt blob in the quarantine, whether or not it exists."""
        return self.quarantine / f"{digest.algorithm}-{digest.encoded}"

    def stored_bytes(self) -> int:
        """Return the total size of all blobs, including corrupt ones, and uploads, in bytes. Blocks."""
        total = 0
        for path in self._stored():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def correct_times(self, after: float, now: float) -> None:
        """Set modification times later than `after` to `now`. Blocks."""
        for path in self._stored():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime > after:
                    os.utime(path, (now, now))

    def _stored(self) -> Iterator[Path]:
        """Yield the files of all blobs and uploads, including corrupt ones."""
        yield from map(self.blob, self.stored_digests())
        yield from map(self.upload, self.stored_uploads())
        yield from map(self.quarantined, self.quarantined_digests())

    def upload(self, upload_id: str) -> Path:
        """Return the path of an upload session's file."""
        return self.uploads / check_upload_id(upload_id)

    def stored_digests(self) -> Iterator[Digest]:
        """Yield all blobs on disk, skipping folders and files with unknown names."""
        for algorithm in ALGORITHMS:
            for name in _files_in(self.blobs / algorithm):
                with contextlib.suppress(OCIError):
                    yield Digest.parse(f"{algorithm}:{name}")

    def quarantined_digests(self) -> Iterator[Digest]:
        """Yield all blobs in the quarantine, as `stored_digests` does."""
        for name in _files_in(self.quarantine):
            with contextlib.suppress(OCIError):
                yield Digest.parse(name.replace("-", ":", 1))

    def stored_uploads(self) -> Iterator[str]:
        """Yield the ids of all upload files on disk, as `stored_digests` does."""
        for name in _files_in(self.uploads):
            with contextlib.suppress(OCIError):
                yield check_upload_id(name)


def _files_in(folder: Path) -> Iterator[str]:
    """Yield the names of a folder's entries, except folders, which cannot be removed like files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.name


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
