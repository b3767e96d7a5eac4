"""Types of fault parameters, as every door spells them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from brokenreg.oci.durations import format_duration, parse_duration


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Seconds; written in Go's syntax (`1m30s`), never negative."""
