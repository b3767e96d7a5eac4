"""Retries requests after a 429 (RFC 6585), when Retry-After allows it (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
from werkzeug.http import parse_date

from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import RateLimited

_TRIES = 5
_FIRST = 2.0
_MAX_WAIT = 20.0
"""Maximum total of all waits, in seconds: our own client waits too, without knowing why."""


async def retry_rate_limited(
    send: Callable[[], Awaitable[httpx.Response]],
    server_name: Callable[[httpx.Response], str],
    add_event: AddEvent,
) -> httpx.Response:
    """Send a request, and again after each 429 for a limited time. Each wait is an event."""
    waiting = waits()
    while True:
        response = await send()
        if response.status_code != 429:
            return response
        seconds = waiting(response.headers.get("retry-after"))
        if seconds is None:
            return response
        await response.aclose()
        add_event(RateLimited(server_name(response), seconds))
        await asyncio.sleep(seconds)


def waits() -> Callable[[str | None], float | None]:
    """Return a function that maps the Retry-After of each 429 to the seconds to wait, or None to give up."""
    left, tries, doubling = _MAX_WAIT, _TRIES, _FIRST

    def next_wait(retry_after: str | None) -> float | None:
        nonlocal left, tries, doubling
        requested = _seconds(retry_after)
        wait = doubling if requested is None else requested
        tries, doubling = tries - 1, doubling * 2
        if tries <= 0 or wait > left:
            return None
        left -= wait
        return wait

    return next_wait


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds to wait for a Retry-After, which is a number or a date, or None if it is invalid."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        when = parse_date(text)
    except OverflowError:  # the year is out of range
        return None
    return None if when is None else max(0.0, when.timestamp() - time.time())
