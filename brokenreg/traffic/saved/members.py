"""Reads members of JSON objects that anyone may have written: with the wanted type, and within limits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

LONGEST_TEXT = 64 * 1024
"""Maximum length of a text, in characters. The rest is dropped."""

_LARGEST = 2**63


class MissingMemberError(ValueError):
    """An exchange cannot be read. The message says why, for example `has no request.url`."""


def text_in(document: Any, name: str, most: int = LONGEST_TEXT) -> str:
    """Return a member that is text, or an empty string. Characters that no output can have are replaced."""
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, str):
        return ""
    value = value[:most]
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def object_in(document: Any, name: str) -> dict[str, Any]:
    """Return a member that is an object, or an empty one."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def list_in(document: Any, name: str, most: int) -> list[Any]:
    """Return the first `most` elements of a member that is a list."""
    value = document.get(name) if isinstance(document, dict) else None
    return value[:most] if isinstance(value, list) else []


def texts_in(document: Any, name: str, most: int) -> tuple[str, ...]:
    """Return the texts in a member that is a list."""
    elements = list_in(document, name, most)
    return tuple(text_in({"": each}, "") for each in elements if isinstance(each, str))


def number_in(document: Any, name: str) -> float | None:
    """Return a member that is a finite number, or None."""
    value = document.get(name) if isinstance(document, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST and math.isfinite(value) else None


def count_in(document: Any, name: str) -> int | None:
    """Return a member that is a whole number from 0 on, or None."""
    value = document.get(name) if isinstance(document, dict) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _LARGEST else None


def time_of(text: str) -> float | None:
    """Return the seconds since the epoch of a date and time in ISO 8601; without a zone, it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
