"""Describes a setting: its default, its help, and how text becomes its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.config import JsonDict

from brokenreg.validation import InvalidValueError
from brokenreg.wording import quoted

Number = TypeVar("Number", int, float)


def option(
    default: Any, metavar: str, text: str, *, legacy: str = "", bare: str = "", **constraints: Any
) -> Any:
    """Describe a setting for which the command line has an option.

    The default is in the form that a user would write. `metavar` and `text` appear in `--help`. `legacy` is
    the environment variable of the predecessor that also sets it. `bare` is the value of the option without
    a value, if that is allowed. `constraints` are passed to pydantic's `Field`.
    """
    extra: JsonDict = {"metavar": metavar, "legacy": legacy, "bare": bare}
    if callable(default):
        return Field(default_factory=default, description=text, json_schema_extra=extra, **constraints)
    return Field(default, validate_default=True, description=text, json_schema_extra=extra, **constraints)


def from_text(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator that parses text with `parse` and accepts other values unchanged."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def or_off(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator like that of `from_text`, for which `off` is None."""
    return from_text(lambda text: None if text == "off" else parse(text))


def check_different(kind: str, names: list[str]) -> None:
    """Raise `ValueError` if a name is given twice. `kind` is what the names are of."""
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ValueError(f"{kind} {quoted(duplicate)} is given twice: remove one of them")


def within(least: float, most: float, wanted: str) -> AfterValidator:
    """Return a validator that refuses numbers outside of a range; `wanted` describes the valid ones."""

    def check(value: Number) -> Number:
        if not least <= value <= most:
            raise InvalidValueError(f"use {wanted}")
        return value

    return AfterValidator(check)
