"""Comparisons in filters: `>=500`, `<2s`, `1KiB-1MiB`, or one value."""

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
