"""Tunes the process: memory, open files, threads, garbage collection and the event loop of the panel."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
import selectors
import sys
import time
from collections.abc import AsyncIterator

from brokenreg.concurrency import background

_KEPT_MEMORY = 16 * 1024 * 1024
"""Bytes of freed memory that the allocator keeps, and the buffer size from which it uses mmap."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

_OPEN_FILES = (65_536, 10_240)
"""Limits on open files to try. The first is enough; the second is the largest that macOS always accepts."""

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that hashes or writes must release the interpreter to the event loop."""

_NEVER = 1_000_000_000
"""A threshold that the number of collections never reaches."""

_LOOK = 1.0
"""Seconds between two checks of whether the process is quiet."""

_QUIET = 0.1
"""Maximum load of a quiet process, in processors. The panel of an idle registry needs less."""

_WORTHWHILE = 10
"""Collections of younger objects after which a full one is worthwhile; Python's own threshold."""

_OVERDUE = 500
"""Collections of younger objects after which a full one is due even under load: about three million objects
have become old since the last one."""

_EVENTS = 12
"""Maximum number of sockets per iteration of the event loop under the panel. A key press takes about a dozen
iterations until its effect is on the screen."""


@contextlib.asynccontextmanager
async def tuned_process() -> AsyncIterator[None]:
    """Tune the process for a server during a block that lasts until the process ends."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    keep_freed_memory()
    allow_many_connections()
    async with full_collections_when_quiet():
        yield


def keep_freed_memory() -> None:
    """Let glibc keep freed buffers; without glibc, do nothing.

    By default, glibc returns each freed buffer of 128 KiB or more to the kernel. Each page of the next buffer
    then costs a page fault, which adds up to a third of the time of a 1 GiB upload.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_MEMORY)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_MEMORY)


def allow_many_connections() -> None:
    """Raise the process's limit on open files as far as allowed and useful."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    for enough in _OPEN_FILES:
        wanted = enough if hard == resource.RLIM_INFINITY else min(hard, enough)
        # macOS reports no hard limit, but refuses a soft limit beyond one of its own.
        with contextlib.suppress(ValueError, OSError):
            if soft < wanted:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


@contextlib.asynccontextmanager
async def full_collections_when_quiet() -> AsyncIterator[None]:
    """During the block, collect garbage among old objects only while the process is quiet.

    A full collection stops everything while it visits all objects: about 20 ms with 10,000 exchanges in the
    log, 200 to 600 ms with 100,000, every few seconds under load. Collections of young objects cost little,
    and the garbage of requests is young. Objects that exist at the start of the block are never visited.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    gc.freeze()
    try:
        async with background(_collect_when_quiet()):
            yield
    finally:
        gc.unfreeze()
        gc.set_threshold(young, middle, old)


async def _collect_when_quiet() -> None:
    while True:
        used, began = time.process_time(), time.monotonic()
        await asyncio.sleep(_LOOK)
        if is_due(gc.get_count()[2], (time.process_time() - used) / (time.monotonic() - began)):
            gc.collect()


def is_due(collections: int, load: float) -> bool:
    """Return whether to run a full collection now; `load` is the processor use of the process."""
    return collections >= (_WORTHWHILE if load < _QUIET else _OVERDUE)


class _FairSelector(selectors.DefaultSelector):
    """Reports a few ready sockets at a time, in turn; the others wait for the next iterations."""

    _next = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if len(ready) <= _EVENTS:
            return ready
        begin = self._next % len(ready)
        self._next = begin + _EVENTS
        return (ready + ready)[begin : begin + _EVENTS]


def loop_with_fair_selector() -> asyncio.SelectorEventLoop:
    """Return an event loop that stays responsive regardless of the number of clients."""
    return asyncio.SelectorEventLoop(_FairSelector())
