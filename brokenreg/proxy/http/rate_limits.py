"""How long a 429 is waited for (RFC 6585; RFC 9110, section 10.2.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from brokenreg.traffic.timeline_events import AddEvent, RateLimited

_TRIES = 5
_FIRST = 2.0
_LONGEST = 20.0
"""Seconds in all: our own client waits meanwhile, and knows of none of it."""


async def retry_rate_limited(
    send: Callable[[], Awaitable[httpx.Response]],
    who: Callable[[httpx.Response], str],
    add_event: AddEvent,
) -> httpx.Response:
    """Send, and send again after each 429 for as long as that is worth it; `add_event` of each wait."""
    waiting = waits()
    while True:
        response = await send()
        if response.status_code != 429:
            return response
        seconds = waiting(response.headers.get("retry-after"))
        if seconds is None:
            return response
        await response.aclose()
        add_event(RateLimited(who(response), seconds))
        await asyncio.sleep(seconds)


def waits() -> Callable[[str | None], float | None]:
    """A function that says how long to wait after each 429, given its Retry-After; None: no longer."""
    left, tries, doubling = _LONGEST, _TRIES, _FIRST

    def next_wait(retry_after: str | None) -> float | None:
        nonlocal left, tries, doubling
        told = _seconds(retry_after)
        wait = doubling if told is None else told
        tries, doubling = tries - 1, doubling * 2
        if tries <= 0 or wait > left:
            return None
        left -= wait
        return wait

    return next_wait


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date; None if it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    told = when if when.tzinfo else when.replace(tzinfo=UTC)  # a date without a zone is of GMT as all are
    return max(0.0, told.timestamp() - time.time())
