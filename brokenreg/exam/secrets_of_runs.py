"""Removes the secrets of a run from what it found, wherever a client put them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

from brokenreg.redaction import REDACTED

Value = TypeVar("Value")

_SHORTEST = 4
"""Shorter passwords are left: without each `a`, nobody could read a report."""


def without_secrets(value: Value, secrets: Sequence[str]) -> Value:
    """Return a report or a HAR document in whose texts each secret is replaced."""
    return _replaced(value, [each for each in secrets if len(each) >= _SHORTEST])


def _replaced(value: Value, secrets: Sequence[str]) -> Value:
    changed: object = value
    if isinstance(value, str):
        changed = _text(value, secrets)
    elif isinstance(value, dict):
        changed = {key: _replaced(each, secrets) for key, each in value.items()}
    elif isinstance(value, list | tuple):
        changed = type(value)(_replaced(each, secrets) for each in value)
    elif is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)]
        changed = replace(value, **{name: _replaced(getattr(value, name), secrets) for name in names})
    return cast(Value, changed)


def _text(text: str, secrets: Sequence[str]) -> str:
    for each in secrets:
        text = text.replace(each, REDACTED)
    return text
