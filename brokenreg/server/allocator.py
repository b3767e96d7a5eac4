"""glibc's allocator, told to keep what bulk transfers free and take again a moment later.

By default every buffer of 128 KiB and more goes back to the kernel when it is freed, and comes again as fresh
pages, each a fault: of a 1 GiB upload that is a third of the time.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP = 16 * 1024 * 1024


def keep_freed_memory() -> None:
    """Set the thresholds, where there is a glibc to set them in; elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)
