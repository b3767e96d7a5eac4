"""The types of fault parameters, and how rules and image paths spell them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from brokenreg.faults.response_head import Head
from brokenreg.oci.durations import format_duration, parse_duration
from brokenreg.oci.sizes import parse_size
from brokenreg.traffic.exchange import Exchange
from brokenreg.validation import InvalidValueError
from brokenreg.wording import counted

_PORTION = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(?:%|pct)", re.ASCII)
_FRACTION = re.compile(r"[01]\.[0-9]{1,6}", re.ASCII)
_SHARES = "use 0 to 1, or a percentage, such as 50% (50pct in image paths)"
HEADERS = "headers"
"""The position before the status line, as opposed to a position in the body."""

_PORTION_DIGITS = 8
"""Decimals of a portion: enough for a percentage with six decimals."""

_MAX_SIZE = 2**63 - 1
MAX_SECONDS = 2.0**33


def _seconds(value: Any) -> Any:
    """Return a duration in seconds, rounded to nanoseconds because that is how it is spelled."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and abs(value) <= MAX_SECONDS:
        return round(value * 1e9) / 1e9
    return value


def _bytes(value: Any) -> Any:
    if isinstance(value, bool):
        raise InvalidValueError("use bytes, such as 65536 or 64KiB")
    return parse_size(value) if isinstance(value, str) else value


def _extent(value: Any) -> Any:
    if isinstance(value, float):
        return _portion(value)
    if isinstance(value, str):
        if match := _PORTION.fullmatch(value):
            return _portion(float(match[1]) / 100)
        if _FRACTION.fullmatch(value):
            return _portion(float(value))
    return _size_within(value, "use bytes, such as 65536 or 64KiB, or a share, such as 50%")


def _size_within(value: Any, hint: str) -> int:
    size = _bytes(value)
    if not isinstance(size, int) or not 0 <= size <= _MAX_SIZE:
        raise InvalidValueError(hint)
    return size


def _headers_or_size(value: Any) -> Any:
    hint = "use headers, or bytes, such as 65536 or 64KiB"
    try:
        return value if value == HEADERS else _size_within(value, hint)
    except ValueError:
        raise InvalidValueError(hint) from None


def _share(value: Any) -> Any:
    if isinstance(value, str):
        try:
            match = _PORTION.fullmatch(value)
            value = float(match[1]) / 100 if match else float(value)
        except ValueError:
            raise InvalidValueError(_SHARES) from None
        if match and value > 1:
            raise InvalidValueError("use at most 100%")
    if isinstance(value, int | float) and not 0 <= value <= 1:
        is_percentage = 1 < value <= 100
        raise InvalidValueError(f"did you mean {value / 100:g} or {value:g}%?" if is_percentage else _SHARES)
    return value


def _headers_or_extent(value: Any) -> Any:
    return value if value == HEADERS else _extent(value)


def _portion(value: float) -> float:
    if not 0 <= value <= 1:
        raise InvalidValueError("use 0% to 100%, or bytes, such as 65536 or 64KiB")
    return round(value, _PORTION_DIGITS)


def _spell_extent(value: float | str) -> int | str:
    if isinstance(value, int | str):
        return value
    return f"{value:.{_PORTION_DIGITS - 2}%}".removesuffix("%").rstrip("0").rstrip(".") + "pct"


_SIZE_TEXT = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?(([kKmMgGtTpP][iI]?)?[bB])?$"}
_SIZE_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": _MAX_SIZE}, _SIZE_TEXT]}

Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
                {"type": "string", "pattern": r"^([0-9]{1,7}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$"},
            ],
            "description": "a Go duration, for example 1m30s; a bare number is seconds",
        }
    ),
]
"""Seconds; written in Go's syntax (`1m30s`), never negative."""

SignedDuration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=-MAX_SECONDS, le=MAX_SECONDS, allow_inf_nan=False),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": -MAX_SECONDS, "maximum": MAX_SECONDS},
                {"type": "string", "pattern": r"^-?([0-9]{1,7}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$"},
            ],
            "description": "a Go duration, for example -1m30s; a bare number is seconds",
        }
    ),
]
"""Seconds, which may be negative; written like `Duration`."""

Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0, le=_MAX_SIZE), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes; written as `65536` or `64KiB`."""

_EXTENT_SCHEMA = {
    "anyOf": [
        *_SIZE_SCHEMA["anyOf"],
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)(pct|%)$"},
    ]
}

Extent = Annotated[
    int | float,
    BeforeValidator(_extent),
    PlainSerializer(_spell_extent, return_type=int | str, when_used="json"),
    WithJsonSchema(_EXTENT_SCHEMA),
]
"""A position in a body: bytes (an int), or a portion (a float from 0 to 1; `50%`, in paths `50pct`)."""

Share = Annotated[
    float,
    BeforeValidator(_share),
    Field(ge=0, le=1, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)(pct|%)$"},
            ]
        }
    ),
]
"""A share from 0 to 1; also written as a percentage (`50%`, in paths `50pct`)."""

HeadersOrSize = Annotated[
    Literal["headers"] | int,
    BeforeValidator(_headers_or_size),
    WithJsonSchema({"anyOf": [{"const": HEADERS}, *_SIZE_SCHEMA["anyOf"]]}),
]
"""`headers`, or a number of bytes of the body."""

HeadersOrExtent = Annotated[
    Literal["headers"] | int | float,
    BeforeValidator(_headers_or_extent),
    PlainSerializer(_spell_extent, return_type=int | str, when_used="json"),
    WithJsonSchema({"anyOf": [{"const": HEADERS}, *_EXTENT_SCHEMA["anyOf"]]}),
]
"""`headers`, or a position in the body."""


def bytes_of(extent: float, length: int | None) -> int | None:
    """Return a position in bytes; None if it is a portion and the length of the body is not known."""
    if isinstance(extent, int):
        return extent
    return None if length is None else int(extent * length)


def ends_before(place: float, exchange: Exchange, head: Head) -> str | None:
    """Return why a body ends before a position (bytes or a portion), or None if it does not."""
    if exchange.method == "HEAD":
        return "the response has no body"
    first = bytes_of(place, head.length)
    if first is None:
        return "the length of the body is not known"
    if head.length is not None and first >= head.length:
        return f"the body has {counted(head.length, 'byte')}"
    return None
