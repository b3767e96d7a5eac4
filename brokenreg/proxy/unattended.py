"""When a download that nobody awaits any more is given up: an upstream may make it last for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from brokenreg.proxy.errors import UpstreamSilentError

SECONDS = 60.0
"""How often one looks, and for how long little may come."""

LITTLE = 512 * 1024
"""Bytes in that time: 8 KiB a second, as short bodies must come."""


@asynccontextmanager
async def given_up_unattended(
    received: Callable[[], int], is_awaited: Callable[[], bool], what: str
) -> AsyncIterator[None]:
    """End the block if in `SECONDS` only `LITTLE` was `received`, and nobody awaits it then.

    Raise `UpstreamSilentError` in that case; `what` is the download.
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
