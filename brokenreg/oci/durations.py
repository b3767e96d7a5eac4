"""Durations in the syntax of Go's `time.ParseDuration`: `1h15m30.918s`, `300ms`, `-1.5h`, `2us`."""

from __future__ import annotations

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<unit>[a-zµμ]*)", re.ASCII | re.IGNORECASE)
_MAX = 2**63
_MAX_DIGITS = 30
"""More than any number in range has; Python parses at most 4,300 digits."""


def parse_duration(text: str) -> float:
    """Parse a duration; return seconds. Raise `ValueError`, which says what is wrong.

    The range is Go's: 64 bits of nanoseconds, about 292 years either way.
    """
    return _nanoseconds(text) / 1e9


def format_duration(seconds: float) -> str:
    """Format seconds in the shortest way that is valid in a tag and, in lower case, in a repository name."""
    rest = round(Fraction(seconds) * 10**9)
    sign, rest = ("-", -rest) if rest < 0 else ("", rest)
    if rest == 0:
        return "0s"
    terms = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _NANOSECONDS[unit])
        if count:
            terms.append(f"{count}{unit}")
    return sign + "".join(terms)


def _nanoseconds(text: str) -> int:
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"invalid duration {text[:100]!r}: write a number and a unit, for instance 1.5s")
    total = 0
    position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None or not (term["whole"] or term["part"]):
            raise ValueError(
                f"invalid duration {text[:100]!r}: a number is missing at {rest[position:][:9]!r}"
            )
        scale = _NANOSECONDS.get(term["unit"])
        if scale is None:
            problem = f"unknown unit {term['unit']!r}" if term["unit"] else "a number without a unit"
            raise ValueError(f"invalid duration {text[:100]!r}: {problem}; units are ns us ms s m h")
        whole = term["whole"].lstrip("0")[:_MAX_DIGITS] or "0"
        total += int(whole) * scale + _fraction(term["part"] or "", scale)
        if total > _MAX or (total == _MAX and sign > 0):
            raise ValueError(f"invalid duration {text[:100]!r}: longer than 292 years")
        position = term.end()
    return sign * total


def _fraction(digits: str, scale: int) -> int:
    digits = digits[:_MAX_DIGITS]  # the 20th decimal of an hour is no nanosecond any more
    return int(digits) * scale // 10 ** len(digits) if digits else 0
