"""Describes the parameters of a fault, a match, a rule or a kind of image: the fields of its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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
