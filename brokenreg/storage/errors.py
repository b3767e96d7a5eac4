"""Errors of the storage. Their messages say what to do."""

from __future__ import annotations

import errno
import os

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import TOO_MANY_FILES, ErrorCode, OCIError, shutting_down, too_many_files

_UNUSABLE = (errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENOTDIR, errno.ENODEV)
"""Error numbers of a file system that was mounted read-only, is broken or was removed."""


class StorageError(Exception):
    """The data folder, the database or the object store cannot be used. The message is one clear line."""


class FolderLockedError(StorageError):
    """Another process uses the data folder."""


class NewerIndexError(StorageError):
    """The index was written by a newer brokenreg."""


class NotEmptyError(StorageError):
    """The database or the object store that should receive a copy has other content."""


class DatabaseUnreachableError(StorageError):
    """The database does not respond. It may do so again later."""


class FolderGoneError(StorageError):
    """The data folder that this process claimed is no longer at its path."""

    def __init__(self) -> None:
        super().__init__(
            "nothing was stored: the data folder was removed or replaced while brokenreg was running; "
            "restart brokenreg"
        )


class StorageClosedError(StorageError):
    """The storage is closed or closing, and accepts no more work."""

    def __init__(self) -> None:
        super().__init__("the data folder is closed: brokenreg is shutting down")


class StorageFullError(StorageError):
    """The disk or the quota is full. Nothing was stored, and earlier content is not lost."""


class ObjectStoreError(StorageError):
    """The object store cannot be reached, or refused a request. Nothing wrong was stored."""


class ObjectMissingError(ObjectStoreError):
    """The object store has no such object."""


class OtherPlaceError(StorageError):
    """The blobs of the index are not where this process has its own: not in its folder or object store."""

    def __init__(self, place: str, other: str) -> None:
        super().__init__(
            f'invalid --blobs "{place}": the blobs of this index are in {other}; use --blobs {other}'
        )


class CorruptBlobError(StorageError):
    """The file of a blob has other content."""

    def __init__(self, digest: Digest, found: Digest) -> None:
        super().__init__(f"blob {digest} is corrupt: its digest is {found}")


class TooLargeError(Exception):
    """An upload session received more bytes than its limit."""


def no_room() -> OSError:
    """Return the error for a write that would exceed a quota."""
    return OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def error_for_client(error: Exception) -> OCIError | None:
    """Return the response for an error of the storage or of a file, or None for other errors."""
    if is_no_room(error):
        full = str(error) if isinstance(error, StorageFullError) else "the data folder is full"
        return OCIError(507, ErrorCode.UNAVAILABLE, f"nothing was stored: {full}")
    if isinstance(error, StorageClosedError):
        return shutting_down()
    if isinstance(error, ObjectStoreError):
        return OCIError(503, ErrorCode.UNAVAILABLE, str(error), headers={"retry-after": "5"})
    if isinstance(error, DatabaseUnreachableError):
        return OCIError(503, ErrorCode.UNAVAILABLE, str(error), headers={"retry-after": "1"})
    if isinstance(error, StorageError):
        return OCIError(500, ErrorCode.UNAVAILABLE, str(error))
    if isinstance(error, OSError) and error.errno in TOO_MANY_FILES:
        return too_many_files()
    if isinstance(error, OSError) and (error.errno in _UNUSABLE or error.filename is not None):
        return OCIError(
            500,
            ErrorCode.UNAVAILABLE,
            f"nothing was stored: the data folder cannot be used: {error.strerror}",
        )
    return None


def is_no_room(error: BaseException) -> bool:
    """Return whether an error means that the disk or the quota is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, StorageFullError)
