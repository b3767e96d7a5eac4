"""Long texts, made on the loop without stopping it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable

from brokenreg.traffic.exchange import Exchange

_TURN = 0.005
"""Seconds of work before the loop gets a turn."""

_SLICE = 200
"""Exchanges looked at before the clock is."""


async def paced(parts: Iterable[str]) -> AsyncIterator[str]:
    """`parts`, with a turn for the loop every few milliseconds of making them."""
    turn = time.perf_counter()
    for part in parts:
        yield part
        if time.perf_counter() - turn > _TURN:
            await asyncio.sleep(0)
            turn = time.perf_counter()


async def chosen(exchanges: list[Exchange], passes: Callable[[Exchange], bool]) -> list[Exchange]:
    """Those of `exchanges` that pass, with turns for the loop."""
    found = []
    turn = time.perf_counter()
    for looked_at, exchange in enumerate(exchanges):
        if passes(exchange):
            found.append(exchange)
        if looked_at % _SLICE == 0 and time.perf_counter() - turn > _TURN:
            await asyncio.sleep(0)
            turn = time.perf_counter()
    return found
