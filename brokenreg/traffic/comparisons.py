"""Comparisons in filters: `>=500`, `<2s`, `1KiB-1MiB`, `5xx`, or one value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

Test = Callable[[float], bool]
"""Returns whether a number satisfies a comparison."""

Number = Callable[[str], float]
"""Returns the number that a text stands for. Raises `ValueError`."""

_COMPARISON = re.compile(r"(>=|<=|>|<)(.+)", re.DOTALL)
_OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

_STATUS_DIGITS = 3
_STATUS = re.compile(r"([1-9])xx|([0-9]{3})(?:-([0-9]{3}))?|(none)", re.IGNORECASE)


def parse_comparison(text: str, number: Number) -> Test | None:
    """Return the test for a comparison, a range with both ends, or a value. Return None if it is invalid.

    Numbers are not negative. The first end of a range is not above the second.
    """
    match = _COMPARISON.fullmatch(text)
    first_text, dash, last_text = text.partition("-")
    try:
        if match is not None:
            compare, limit = _OPERATORS[match[1]], _positive(match[2], number)
            return lambda value: compare(value, limit)
        first = _positive(first_text, number)
        last = _positive(last_text, number) if dash else first
    except ValueError:
        return None
    return (lambda value: first <= value <= last) if first <= last else None


def parse_status(text: str) -> Callable[[int | None], bool] | None:
    """Return the test for a status (`404`, `5xx`, `500-503`, `>=400`, `none`), or None if it is invalid."""
    match = _STATUS.fullmatch(text)
    if match is None:
        passes = parse_comparison(text, _status_code) if text[:1] in "<>" else None
        return None if passes is None else lambda status: status is not None and passes(status)
    if match[4]:
        return lambda status: status is None
    if match[1]:
        first, last = int(match[1]) * 100, int(match[1]) * 100 + 99
    else:
        first, last = int(match[2]), int(match[3] or match[2])
    return lambda status: status is not None and first <= status <= last


def _status_code(text: str) -> int:
    if len(text) != _STATUS_DIGITS:
        raise ValueError
    return whole(text)


def whole(text: str) -> int:
    """Return a whole number of at most 18 digits. Raise `ValueError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError
    return int(text)


def _positive(text: str, number: Number) -> float:
    value = number(text)
    if value < 0:
        raise ValueError
    return value
