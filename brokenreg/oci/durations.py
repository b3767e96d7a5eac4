"""Durations in the syntax of Go's `time.ParseDuration`: `1h15m30.918s`, `300ms`, `-1.5h`, `2us`."""

from __future__ import annotations

import re
from fractions import Fraction

from brokenreg.wording import quoted

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
_LONG_UNITS = {
    "ms": ("msec", "msecs", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
}
"""What other syntaxes write for the units."""

_FORM = "use a number and a unit, such as 1.5s or 300ms"
_MAX = 2**63
_MAX_DIGITS = 30
"""More digits than any valid number has. Python would parse up to 4,300 digits."""


def parse_duration(text: str) -> float:
    """Return the seconds of a duration. Raise `ValueError`, which says what is wrong.

    The range is that of Go: 64 bits of nanoseconds, about 292 years in both directions.
    """
    return _nanoseconds(text) / 1e9


def format_duration(seconds: float) -> str:
    """Return the shortest text for a duration that is valid in a tag and in a repository name."""
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
        raise ValueError(f"invalid duration {quoted(text)}: {_FORM}")
    total = 0
    position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None or not (term["whole"] or term["part"]):
            raise ValueError(
                f"invalid duration {quoted(text)}: a number is missing before {quoted(rest[position:][:9])}; "
                f"{_FORM}"
            )
        scale = _NANOSECONDS.get(term["unit"])
        if scale is None:
            raise ValueError(f"invalid duration {quoted(text)}: {_unit_hint(rest, term)}")
        whole = term["whole"].lstrip("0")[:_MAX_DIGITS] or "0"
        total += int(whole) * scale + _fraction(term["part"] or "", scale)
        if total > _MAX or (total == _MAX and sign > 0):
            raise ValueError(f"invalid duration {quoted(text)}: use at most 292 years")
        position = term.end()
    return sign * total


def _unit_hint(text: str, term: re.Match[str]) -> str:
    """Return the duration that is probably meant by `2`, `2sec` or `1day`, or the units."""
    unit = term["unit"].lower()
    if term.end() == len(text) and term.start() == 0:
        number = text[: term.start("unit")]
        if not unit:
            return f"did you mean {number}s or {number}ms?"
        meant = next((each for each, words in _LONG_UNITS.items() if unit in words), None)
        if meant is not None:
            return f"did you mean {number}{meant}?"
        if unit in ("d", "day", "days") and number.isascii() and number.isdigit():
            return f"did you mean {24 * int(number[:_MAX_DIGITS])}h?"
    problem = f"unknown unit {quoted(term['unit'])}" if unit else "a number without a unit"
    return f"{problem}: use ns, us, ms, s, m or h"


def _fraction(digits: str, scale: int) -> int:
    digits = digits[:_MAX_DIGITS]  # the 20th decimal of an hour is less than a nanosecond
    return int(digits) * scale // 10 ** len(digits) if digits else 0
