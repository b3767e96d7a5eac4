"""Gives up a slow download without clients: an upstream could make it last indefinitely."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from brokenreg.proxy.errors import UpstreamSilentError

SECONDS = 60.0
"""Seconds between two checks, and the time for which progress is measured."""

LITTLE = 512 * 1024
"""Minimum progress in that time, in bytes: 8 KiB per second, as for short bodies."""


@asynccontextmanager
async def given_up_unattended(
    received: Callable[[], int], is_awaited: Callable[[], bool], what: str
) -> AsyncIterator[None]:
    """End the block if less than `LITTLE` was `received` in `SECONDS` and no client waits.

    Raise `UpstreamSilentError` in that case; `what` names the download.
    """
    loop = asyncio.get_running_loop()

    def look(before: int) -> None:
        if not is_awaited() and received() - before < LITTLE:
            limit.reschedule(loop.time())
        else:
            timers.append(loop.call_later(SECONDS, look, received()))
            del timers[0]

    timers = [loop.call_later(SECONDS, look, received())]
    try:
        async with asyncio.timeout(None) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise UpstreamSilentError(
            f"{what} was given up: its clients have left, and almost nothing came in {SECONDS:g} s"
        ) from None
    finally:
        timers[0].cancel()
