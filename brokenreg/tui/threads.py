"""Work in threads: such as can be told to stop, and such as leaves room for the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Result = TypeVar("Result")
Item = TypeVar("Item")

_BREATH = 0.002
"""Seconds of work after which the loop may have the interpreter at once; else it waits 5 ms for it."""
_PAUSE = 0.0002


async def in_thread(work: Callable[[], Result], stop: Callable[[], None] = lambda: None) -> Result:
    """What `work` returns. A cancellation calls `stop`, and waits until the thread uses nothing any more."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([running])
        raise


def breathing(items: Iterable[Item]) -> Iterator[Item]:
    """`items`, for a thread that would hold the interpreter; it pauses every few milliseconds."""
    until = time.perf_counter() + _BREATH
    for item in items:
        yield item
        if time.perf_counter() > until:
            time.sleep(_PAUSE)
            until = time.perf_counter() + _BREATH
