"""Tunes the process: memory, open files, threads, garbage collection and the event loop of the panel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import selectors
import sys
import time
from collections.abc import AsyncIterator

from brokenreg.concurrency import background
from brokenreg.freed_memory import keep_freed_memory, return_freed_memory

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

_WORK = 0.1
"""Seconds of CPU time after which there may be freed memory to return."""

_EVENTS = 12
"""Maximum number of sockets per iteration of the event loop with the panel. A key press takes about a dozen
iterations until its effect is on the screen."""


@contextlib.asynccontextmanager
async def tuned_process() -> AsyncIterator[None]:
    """Tune the process for a server during a block that lasts until the process ends."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    keep_freed_memory()
    allow_many_connections()
    async with tidied_when_quiet():
        yield


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
async def tidied_when_quiet() -> AsyncIterator[None]:
    """During the block, collect garbage among old objects and return freed memory only while it is quiet.

    A full collection stops everything while it visits all objects: about 20 ms with 10,000 exchanges in the
    log, 200 to 600 ms with 100,000, every few seconds under load. Collections of young objects cost little,
    and the garbage of requests is young. Objects that exist at the start of the block are never visited.

    Freed memory is kept for the next buffers while clients are busy. Without a return, it would stay at what
    the busiest moment needed, and ever more of it would lie between buffers that are in use.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    gc.freeze()
    try:
        async with background(_tidy_when_quiet()):
            yield
    finally:
        gc.unfreeze()
        gc.set_threshold(young, middle, old)


async def _tidy_when_quiet() -> None:
    worked = 0.0
    while True:
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(_LOOK)
        used = time.process_time() - cpu
        load = used / (time.monotonic() - began)
        if is_due(gc.get_count()[2], load):
            gc.collect()
        worked += used
        if load < _QUIET and worked >= _WORK:  # the buffers of clients that are gone
            worked = 0.0
            return_freed_memory()


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
