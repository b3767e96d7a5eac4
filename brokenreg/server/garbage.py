"""Python's search for cyclic garbage: the whole of it only while this process has next to nothing to do.

A full search looks at every object, and nothing else runs meanwhile: some 20 ms with 10,000 exchanges kept,
200 to 600 ms with 100,000, every few seconds under load. Those of the young objects cost little, and what
requests leave behind is young. (`gc`, "set_threshold": the threshold of the oldest generation.)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator

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
