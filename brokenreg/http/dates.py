"""Formats dates and times for protocols and people.

Any time can be formatted, because a wrong clock must not turn a listing into an error. Times before 1950 or
after 9999 are written as the first or last time that all formats support (RFC 5280, section 4.1.2.5;
RFC 3339).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

_FIRST = datetime(1950, 1, 1, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def utc(seconds: float) -> datetime:
    """Return the date and time for `seconds` since the epoch."""
    return datetime.fromtimestamp(_within(seconds), UTC)


def rfc3339(seconds: float, timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Format a time for JSON documents: `2026-11-28T05:49:00Z`."""
    return utc(seconds).isoformat(timespec=timespec).replace("+00:00", "Z")


def http_date(seconds: float) -> str:
    """Format a time for headers (RFC 9110, section 5.6.7)."""
    return format_datetime(utc(seconds), usegmt=True)


def clock(seconds: float) -> str:
    """Format the local time of day: `05:49:00`."""
    return time.strftime("%H:%M:%S", time.localtime(_within(seconds)))


def date_and_clock(seconds: float) -> str:
    """Format the local date and time: `2026-11-28 05:49:00`."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(_within(seconds)))


def _within(seconds: float) -> float:
    return min(max(seconds, _FIRST), _LAST)
