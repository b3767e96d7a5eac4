"""What glibc's allocator does with memory that was freed. Without glibc, these functions do nothing."""

from __future__ import annotations

import ctypes
import sys

_KEPT_MEMORY = 16 * 1024 * 1024
"""Bytes of freed memory that the allocator keeps, and the buffer size from which it uses mmap."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> None:
    """Let glibc keep freed buffers.

    By default, glibc returns each freed buffer of 128 KiB or more to the kernel. Each page of the next buffer
    then costs a page fault, which adds up to a third of the time of a 1 GiB upload.
    """
    libc = _libc()
    if libc is not None and hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_MEMORY)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_MEMORY)


def return_freed_memory() -> None:
    """Return to the system what glibc has kept, also between buffers that are in use.

    For 30 MiB, this takes 0.6 ms.
    """
    libc = _libc()
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
