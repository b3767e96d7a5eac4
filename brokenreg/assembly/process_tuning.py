"""Tunes the process: allocator, limit on open files, garbage collection, and the event loop of the panel.

Without `keep_freed_memory`, every buffer of 128 KiB and more goes back to the kernel when it is freed, and
comes again as fresh pages, each a page fault: a third of the time of a 1 GiB upload.

Without `full_searches_when_quiet`, Python searches all objects for cyclic garbage, and nothing else runs
meanwhile: about 20 ms with 10,000 exchanges kept, 200 to 600 ms with 100,000, every few seconds under load.
Searches of young objects cost little, and what requests leave behind is young. (`gc`, "set_threshold": the
oldest generation.)
"""

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

_SWITCH_INTERVAL = 0.0005
"""Seconds before a thread that hashes or writes must give the interpreter back to the loop."""


@contextlib.asynccontextmanager
async def tuned_process() -> AsyncIterator[None]:
    """Tune the whole process for a server, for a block that ends with the process."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    keep_freed_memory()
    allow_many_connections()
    async with full_searches_when_quiet():
        yield


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


_ENOUGH = 65_536


def allow_many_connections() -> None:
    """Raise our own limit as far as this process may, or as far as makes sense."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS says that there is no limit and refuses what is beyond its own.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


_NEVER = 1_000_000_000
_LOOK = 1.0
"""Seconds between two looks at whether it is quiet."""

_QUIET = 0.1
"""Of a processor; a panel over a registry that nobody asks takes less."""

_WORTHWHILE = 10
"""Searches of the younger objects since the last full one; Python's own threshold."""

_OVERDUE = 500
"""After so many of them it is done whoever waits: some three million objects have grown old since."""


@contextlib.asynccontextmanager
async def full_searches_when_quiet() -> AsyncIterator[None]:
    """Python's own full searches are off for as long as the block takes. What lives already is left out."""
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    gc.freeze()
    searching = asyncio.create_task(_search_when_quiet())
    try:
        yield
    finally:
        searching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await searching
        gc.unfreeze()
        gc.set_threshold(young, middle, old)


async def _search_when_quiet() -> None:
    while True:
        used, began = time.process_time(), time.monotonic()
        await asyncio.sleep(_LOOK)
        if is_due(gc.get_count()[2], (time.process_time() - used) / (time.monotonic() - began)):
            gc.collect()


def is_due(searches: int, load: float) -> bool:
    """Whether to search now; `load` is how much of a processor this process has used of late."""
    return searches >= (_WORTHWHILE if load < _QUIET else _OVERDUE)


_EVENTS = 12
"""Sockets looked after in one turn of the loop. From a key to the screen it takes about a dozen turns."""


class _FairSelector(selectors.DefaultSelector):
    """Tells of a few sockets at a time, each in its turn. They stay ready until it is theirs."""

    _next = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if len(ready) <= _EVENTS:
            return ready
        begin = self._next % len(ready)
        self._next = begin + _EVENTS
        return (ready + ready)[begin : begin + _EVENTS]


def loop_with_fair_selector() -> asyncio.SelectorEventLoop:
    """For `asyncio.Runner(loop_factory=...)`."""
    return asyncio.SelectorEventLoop(_FairSelector())
