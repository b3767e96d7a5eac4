"""Describes the parameters of a fault, a match, a rule or a kind of image: the fields of its model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brokenreg.oci.sizes import written_size


class ParameterDescription(BaseModel):
    """A parameter: a field of a model."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    default: Any = Field(description="default value as JSON; null without a default")
    required: bool
    choices: list[str] = Field(
        description="the words that are valid values; empty if the values are not words"
    )
    json_schema: dict[str, Any]


def parameters_of(kind: type[BaseModel]) -> Iterator[ParameterDescription]:
    """Yield descriptions of the fields of a model: a fault, a match or a rule."""
    schema = kind.model_json_schema(mode="serialization")
    properties = kind.model_json_schema()["properties"] if kind.model_fields else {}
    defaults = schema.get("properties", {})
    for name in parameter_names(kind):
        field = kind.model_fields[name]
        yield ParameterDescription(
            name=name,
            description=field.description or "",
            default=None if field.is_required() else defaults[name].get("default", field.default),
            required=field.is_required(),
            choices=_choices(properties[name]),
            json_schema=properties[name],
        )


def parameter_names(kind: type[BaseModel]) -> list[str]:
    """Return the fields of a model, with those of its bases last."""
    inherited = {name for base in kind.__mro__[1:] for name in getattr(base, "model_fields", ())}
    return sorted(kind.model_fields, key=inherited.__contains__)


def _choices(schema: dict[str, Any]) -> list[str]:
    """Return the words that a JSON Schema allows, including those in its alternatives."""
    alone = [schema["const"]] if "const" in schema else []
    inner = [word for each in schema.get("anyOf", ()) for word in _choices(each)]
    return [word for word in (*alone, *schema.get("enum", ()), *inner) if isinstance(word, str)]


_SIZE = "a size such as 64KiB"
_SHARE = "a share such as 50%"
_KINDS = {"1m30s": "a duration such as 1m30s", "64KiB": _SIZE, "50%": _SHARE}
"""Texts by which the pattern of a parameter shows what kind of value it has, and the names of these kinds."""

_NO_LIMIT = 2**31 - 1
"""A maximum from here on is not worth mentioning."""


def usage_of(parameter: ParameterDescription) -> str:
    """Return the valid values of a parameter as text for users: `400 to 599`, `json, html or empty`."""
    examples = parameter.json_schema.get("examples", ())
    others = (_other(each, *examples) for each in _alternatives(parameter.json_schema))
    return _listed([*parameter.choices, *_measures(parameter), *others])


def measure_of(parameter: ParameterDescription) -> str:
    """Return the limits of a number, or how to write a size, share or duration, as text; otherwise empty."""
    has_limit = any(
        each.get("maximum", _NO_LIMIT) < _NO_LIMIT for each in _alternatives(parameter.json_schema)
    )
    return _listed(_measures(parameter)) if has_limit or _kinds_of(parameter) else ""


def _listed(found: Iterable[str]) -> str:
    *others, last = dict.fromkeys(filter(None, found)) or ("",)
    return f"{', '.join(others)} or {last}" if others else last


def _measures(parameter: ParameterDescription) -> list[str]:
    numbers = (
        each for each in _alternatives(parameter.json_schema) if each.get("type") in ("integer", "number")
    )
    return _kinds_of(parameter) or [*map(_range, numbers)]  # beside a kind, a number is in its unit


def _kinds_of(parameter: ParameterDescription) -> list[str]:
    return [kind for each in _alternatives(parameter.json_schema) for kind in _kinds(each)]


def default_of(parameter: ParameterDescription) -> str:
    """Return the default as text for users: `64KiB`, `false`; empty without a default."""
    value = parameter.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and _SHARE in _kinds_of(parameter):
        return f"{value:.0%}"
    if isinstance(value, int) and _SIZE in _kinds_of(parameter):
        return written_size(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of which one must be valid."""
    if "anyOf" not in schema:
        yield schema
    limits: dict[str, Any] = {name: schema[name] for name in ("minimum", "maximum") if name in schema}
    for each in schema.get("anyOf", ()):
        yield from _alternatives({**limits, **each})


def _kinds(schema: dict[str, Any]) -> list[str]:
    """Return the kind of value that a pattern is for; none if it is for any text."""
    pattern = schema.get("pattern")
    if pattern is None:
        return []
    found = [kind for text, kind in _KINDS.items() if re.search(pattern, text)]
    return found if len(found) < len(_KINDS) else []


def _other(schema: dict[str, Any], *examples: str) -> str:
    match schema.get("type"):
        case "boolean":
            return "true or false"
        case "string" if "enum" not in schema and not _kinds(schema):
            return f"text such as {examples[0]}" if examples else "text"
        case "array":
            return "a list"
    return ""


def _range(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return str(schema["const"])
    least, most = schema.get("minimum"), schema.get("maximum", _NO_LIMIT)
    if least is None:
        return "a number"
    return f"{least:,} to {most:,}" if most < _NO_LIMIT else f"{least:,} or more"
