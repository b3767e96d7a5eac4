"""The types of parameters of odd images."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from brokenreg.oci.sizes import parse_size
from brokenreg.validation import InvalidValueError

_UNITS = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def _bytes(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


def _spelled(size: int) -> str:
    """Return a size as text with the largest unit of which it is a multiple."""
    for power, unit in _UNITS:
        if size and size % (1 << power) == 0:
            return f"{size >> power}{unit}"
    return str(size)


Size = Annotated[int, BeforeValidator(_bytes), PlainSerializer(_spelled, return_type=str, when_used="json")]
"""Bytes; written as `65536` or `64KiB`."""


def between(least: int, most: int) -> AfterValidator:
    """Return a validator of a size. Its error spells both limits as sizes."""

    def check(size: int) -> int:
        if not least <= size <= most:
            raise InvalidValueError(f"use {_spelled(least)} to {_spelled(most)}")
        return size

    return AfterValidator(check)
