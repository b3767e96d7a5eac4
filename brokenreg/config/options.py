"""How one setting is described: default, help, and how text becomes its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.config import JsonDict

from brokenreg.validation import InvalidValueError

Number = TypeVar("Number", int, float)


def option(default: Any, metavar: str, text: str, *, legacy: str = "", **constraints: Any) -> Any:
    """Describe a setting that the command line has an option for.

    The default is written as a user would write it. `metavar` and `text` are for `--help`. `legacy` is the
    variable of the predecessor that sets it too. `constraints` go to pydantic's `Field`.
    """
    extra: JsonDict = {"metavar": metavar, "legacy": legacy}
    if callable(default):
        return Field(default_factory=default, description=text, json_schema_extra=extra, **constraints)
    return Field(default, validate_default=True, description=text, json_schema_extra=extra, **constraints)


def from_text(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse text with `parse`, which raises `ValueError`; accept other values unchanged."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def or_off(parse: Callable[[str], object]) -> BeforeValidator:
    """Do the same, but `off` is None."""
    return from_text(lambda text: None if text == "off" else parse(text))


def within(least: float, most: float, wanted: str) -> AfterValidator:
    """Refuse numbers that are less than `least` or more than `most`; `wanted` describes valid ones."""

    def check(value: Number) -> Number:
        if not least <= value <= most:
            raise InvalidValueError(f"use {wanted}")
        return value

    return AfterValidator(check)
