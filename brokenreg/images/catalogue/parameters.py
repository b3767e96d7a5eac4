"""The types of parameters of odd images."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from brokenreg.oci.sizes import parse_size


def _bytes(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_bytes)]
"""Bytes; written as `65536` or `64KiB`."""
