"""Syncs a growing file while more of it arrives, so that the sync at its end is short."""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import Future

from brokenreg.concurrency import ThreadPool

_STEP = 32 * 1024 * 1024
"""Number of new bytes after which the file is synced."""

_THREADS = ThreadPool("sync", 2)


class EarlySync:
    """Syncs one file from time to time in another thread. The thread that writes calls it."""

    def __init__(self) -> None:
        self._synced = 0
        self._under_way: Future[None] | None = None

    def grown(self, descriptor: int, size: int) -> None:
        """Start a sync if the file has grown enough since the last one. Raise as `finish` does."""
        if size - self._synced < _STEP or not (self._under_way is None or self._under_way.done()):
            return
        self.finish()
        self._synced = size
        with contextlib.suppress(OSError):  # no descriptor is free, so the file is synced only at its end
            # A copy, because the file may be closed during the sync.
            self._under_way = _THREADS.submit(_sync, os.dup(descriptor))

    def finish(self) -> None:
        """Wait for the running sync. Raise `OSError` if it failed: the kernel reports that only once."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()


def _sync(descriptor: int) -> None:
    try:
        if sys.platform == "darwin":  # it has no fdatasync
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
