"""Sizes in bytes: `1024`, `64KiB`, `1.5GB`. Units are powers of 1024 (`KiB`) or 1000 (`kB`), in any case."""

from __future__ import annotations

import re

from brokenreg.wording import quoted

_LETTERS = ("k", "m", "g", "t", "p")
_UNITS: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate(_LETTERS, start=1):
    _UNITS[f"{_letter}b"] = 1000**_power
    _UNITS[f"{_letter}ib"] = 1024**_power
_MOST_DIGITS = 18
"""Maximum number of digits, so that the number fits in 64 bits."""

_SIZE = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,19}))?([a-z]*)", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes of a size. Raise `ValueError`, which says what is wrong."""
    match = _SIZE.fullmatch(text)
    unit = match[3].lower() if match else ""
    if match is None or unit not in _UNITS:
        raise ValueError(f"invalid size {quoted(text)}: {_hint(text)}")
    whole, part = match[1], match[2] or ""
    scaled, rest = divmod(int(whole + part) * _UNITS[unit], int(f"1{'0' * len(part)}"))
    if rest:
        raise ValueError(f"invalid size {quoted(text)}: use a whole number of bytes")
    return scaled


def _hint(text: str) -> str:
    """Return the size that is probably meant by `64K`, `64 KiB` or `64KiB/s`, or the form of all."""
    match = _SIZE.match(text.replace(" ", "").removesuffix("/s"))
    if match is not None:
        number, unit = text[: match.end(1)].strip(), match[3].lower()
        unit = f"{unit.upper()}iB" if unit in _LETTERS else match[3]
        if match[2] is None and match.end() == len(match.string) and unit.lower() in _UNITS:
            return f"did you mean {number}{unit}?"
    return "use bytes, such as 1024, 64KiB, 10MB or 1.5GiB"


def whole_number(text: str) -> int | None:
    """Return a number of at most 18 ASCII digits, for example in `Content-Length` or `n`, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def format_size(size: int) -> str:
    """Return a size as text with at most one decimal, in powers of 1024 (`1.5 MiB`)."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        value /= 1024
        if value < 1023.95 or unit == "PiB":
            break
    return f"{value:.1f} {unit}".replace(".0", "")


_WRITTEN = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def written_size(size: int) -> str:
    """Return a size exactly and as users write it: `64KiB`, `1000`."""
    for unit, factor in _WRITTEN:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
