"""Types of fault parameters, as every door spells them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from brokenreg.oci.durations import format_duration, parse_duration
from brokenreg.oci.sizes import parse_size

_PORTION = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(?:%|pct)", re.ASCII)
_FRACTION = re.compile(r"[01]\.[0-9]{1,6}", re.ASCII)
_MAX_SIZE = 2**63 - 1
_MAX_SECONDS = 2.0**33


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _bytes(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("write bytes, for instance 65536 or 64KiB")  # noqa: TRY004 - pydantic wants it so
    return parse_size(value) if isinstance(value, str) else value


def _extent(value: Any) -> Any:
    if isinstance(value, float):
        return _portion(value)
    if isinstance(value, str):
        if match := _PORTION.fullmatch(value):
            return _portion(float(match[1]) / 100)
        if _FRACTION.fullmatch(value):
            return _portion(float(value))
    return _bytes(value)


def _portion(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{100 * value:g}% is no part of a whole; write 0 to 100 percent, or bytes")
    return value


def _spell_extent(value: float) -> int | str:
    return value if isinstance(value, int) else f"{100 * value:g}pct"


_SIZE_TEXT = {"type": "string", "pattern": r"^[0-9]{1,12}([kKmMgG]([iI])?[bB])?$"}
_SIZE_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": _MAX_SIZE}, _SIZE_TEXT]}

Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, le=_MAX_SECONDS, allow_inf_nan=False),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": _MAX_SECONDS},
                {"type": "string", "pattern": r"^([0-9]{1,6}(ns|us|ms|s|m|h))+$"},
            ],
            "description": "as Go writes durations, for instance 1m30s; a bare number is seconds",
        }
    ),
]
"""Seconds; written in Go's syntax (`1m30s`), never negative."""

SignedDuration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=-_MAX_SECONDS, le=_MAX_SECONDS, allow_inf_nan=False),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": -_MAX_SECONDS, "maximum": _MAX_SECONDS},
                {"type": "string", "pattern": r"^-?([0-9]{1,6}(ns|us|ms|s|m|h))+$"},
            ],
            "description": "as Go writes durations, for instance -1m30s; a bare number is seconds",
        }
    ),
]
"""Seconds, also negative; written as `Duration` is."""

Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0, le=_MAX_SIZE), WithJsonSchema(_SIZE_SCHEMA)]
"""Bytes; written as `65536` or `64KiB`."""

Extent = Annotated[
    Annotated[int, Field(ge=0, le=_MAX_SIZE)] | float,
    BeforeValidator(_extent),
    PlainSerializer(_spell_extent, return_type=int | str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [*_SIZE_SCHEMA["anyOf"], {"type": "string", "pattern": r"^[0-9]{1,2}(pct|%)$"}]}
    ),
]
"""A place in a body: bytes (an int), or a part of it (a float from 0 to 1; `50%`, in paths `50pct`)."""


def bytes_of(extent: float, length: int | None) -> int | None:
    """The place in bytes in a body of that length; None for a part of an unknown whole."""
    if isinstance(extent, int):
        return extent
    return None if length is None else int(extent * length)
