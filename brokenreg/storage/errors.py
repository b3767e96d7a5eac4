"""What can go wrong with the data folder, each with words that a person can act on."""

from __future__ import annotations

import errno


class StorageError(Exception):
    """The data folder cannot be used; the message is one clear line."""


class FolderLockedError(StorageError):
    """Another process uses the data folder."""


class NewerIndexError(StorageError):
    """The index was written by a newer brokenreg."""


class FolderGoneError(StorageError):
    """The data folder that we claimed is no longer at its path."""

    def __init__(self) -> None:
        super().__init__(
            "the data folder was removed or replaced while brokenreg was running: nothing was stored; "
            "restart brokenreg"
        )


class StorageFullError(StorageError):
    """No room (or quota) left: nothing was stored, and nothing that was stored is lost."""


def is_full(error: OSError) -> bool:
    """Whether an I/O error means that the disk or the quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_no_room(error: BaseException) -> bool:
    """Whether something was not stored because the disk or the quota is full."""
    return isinstance(error, StorageFullError) or (isinstance(error, OSError) and is_full(error))
