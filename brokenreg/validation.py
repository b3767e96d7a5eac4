"""Describes errors of pydantic in one line: what is wrong with a document, and what is valid.

Users never see pydantic's own messages, which name its types instead of valid values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from brokenreg.redaction import redact_text
from brokenreg.wording import counted, listed, near, nearest, quoted

Location = tuple[int | str, ...]

_LARGEST_SHOWN = 10**6
"""Bounds above this value are internal limits that messages do not mention."""

_TRUTH = "use true or false"
_WHOLE = "use a whole number"
_NUMBER = "use a number"
_TEXT = "use text"
_MAPPING = "use a mapping, such as {name: value}"
_LIST = "use a list, such as [a, b]"
_VALID = {
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "dataclass_type": _MAPPING,
    "dict_type": _MAPPING,
    "finite_number": _NUMBER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "frozen_set_type": _LIST,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "use a smaller number",
    "int_type": _WHOLE,
    "iterable_type": _LIST,
    "list_type": _LIST,
    "mapping_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "model_type": _MAPPING,
    "none_required": "leave it out",
    "path_type": "use a path",
    "set_type": _LIST,
    "string_sub_type": _TEXT,
    "string_type": _TEXT,
    "string_unicode": "use UTF-8",
    "tuple_type": _LIST,
}
"""What is valid instead of a value, by the type of pydantic's error."""


class InvalidValueError(ValueError):
    """A value that is invalid; the message says what is valid. `describe_error` quotes the value before it.

    The message of any other `ValueError` is complete: `describe_error` adds nothing to it.
    """


def error_location(error: ValidationError) -> Location:
    """Return the location of the problem that `describe_error` describes."""
    # Pydantic adds the members of a union, and itself the words of its schemas: `function-before[...]`.
    return tuple(part for part in _first(error)["loc"] if not _is_schema(part))


def describe_error(error: ValidationError, model: type[BaseModel], *, is_secret: bool = False) -> str:
    """Describe the first problem of a document that should be a `model`, without its location.

    The invalid value is quoted, with its secrets replaced, unless it `is_secret`.
    """
    first = _first(error)
    location = error_location(error)
    match first["type"]:
        case "extra_forbidden":
            return _unknown(model, location)
        case "missing":
            return f"required{_example(_field(model, location))}"
        case "value_error" | "assertion_error":
            cause = first["ctx"]["error"]
            if not isinstance(cause, InvalidValueError):
                return str(cause)
            valid = str(cause)
        case _:
            valid = _valid(first, model, location)
    shown = "" if is_secret else _shown(first["input"])
    return f"invalid value{shown}: {valid}" if valid else f"invalid value{shown}"


def _first(error: ValidationError) -> ErrorDetails:
    """Return the first problem. Unknown names precede missing ones, which may be misspelled."""
    errors = error.errors(include_url=False)
    return next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])


def _is_schema(part: int | str) -> bool:
    return isinstance(part, str) and (part in ("int", "float", "str") or part.endswith("]"))


def _shown(value: Any) -> str:
    """Return a space and the value in the form of messages."""
    match value:
        case None:
            return ""
        case bool():
            return f" {quoted(str(value).lower())}"
        case float():
            return f" {quoted(f'{value:g}')}"
        case list() | tuple():
            return " (a list)"
        case dict():
            return " (a mapping)"
        case str() | int():
            return f" {quoted(redact_text(str(value)))}"
    return ""


def _unknown(model: type[BaseModel], location: Location) -> str:
    """Return what to write instead of an unknown field, which may belong one level deeper."""
    name, outer = str(location[-1]), _model_at(model, location[:-1])
    fields = list(outer.model_fields)
    if not fields:
        return "unknown field: none is allowed here"
    if near(name, fields) is None:
        for field in fields:
            inner = _inner(outer, field)
            if inner is not None and name in inner.model_fields:
                return f"unknown field: did you mean {field}.{name}?"
    return f"unknown field: {nearest(name, fields)}"


def _valid(first: ErrorDetails, model: type[BaseModel], location: Location) -> str:
    """Return what is valid instead of a value, or an empty text if that is unknown."""
    context = first.get("ctx", {})
    match first["type"]:
        case "literal_error" | "enum":
            choices = [each.strip("'") for each in _choices(context["expected"])]
            return nearest(str(first["input"]), choices, otherwise=f"use {listed(choices)}")
        case "string_too_short":
            least = int(context["min_length"])
            return "use some text" if least == 1 else f"use at least {counted(least, 'character')}"
        case "string_too_long":
            return f"use at most {counted(int(context['max_length']), 'character')}"
        case "too_short":
            return f"use at least {counted(int(context['min_length']), 'entry', 'entries')}"
        case "too_long":
            return f"use at most {counted(int(context['max_length']), 'entry', 'entries')}"
        case "string_pattern_mismatch":
            example = _example(_field(model, location)).removeprefix(", ")
            return f"use text {example}" if example else f"use text that matches {context['pattern']}"
        case "multiple_of":
            return f"use a multiple of {context['multiple_of']}"
    return _VALID.get(first["type"]) or _range(first, model, location)


def _range(first: ErrorDetails, model: type[BaseModel], location: Location) -> str:
    """Return the valid range for a number that is out of bounds, or an empty text."""
    context = first.get("ctx", {})
    match first["type"]:
        case "greater_than":
            return f"use more than {context['gt']}"
        case "less_than":
            return f"use less than {context['lt']}"
        case "greater_than_equal":
            least, most = context["ge"], _bound(_field(model, location), "le")
        case "less_than_equal":
            least, most = _bound(_field(model, location), "ge"), context["le"]
        case _:
            return ""
    if least is None:
        return f"use {most} or less"
    return f"use {least} or more" if most is None or most > _LARGEST_SHOWN else f"use {least} to {most}"


def _choices(expected: str) -> Iterator[str]:
    """Yield the words in `'a', 'b' or 'c'`, which pydantic has in this form alone."""
    for each in expected.replace(" or ", ", ").split(", "):
        yield each.strip()


def _example(field: FieldInfo | None) -> str:
    """Return `, such as ...` for a field with examples, or an empty string."""
    return f", such as {field.examples[0]}" if field is not None and field.examples else ""


def _bound(field: FieldInfo | None, name: str) -> Any:
    """Return the bound `ge` or `le` of a field, or None."""
    metadata = field.metadata if field is not None else ()
    return next((bound for each in metadata if (bound := getattr(each, name, None)) is not None), None)


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """Return the field at that location of a model, or None."""
    return _model_at(model, location[:-1]).model_fields.get(str(location[-1])) if location else None


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """Return the model at that location of a model."""
    for part in location:
        model = _inner(model, part) or model
    return model


def _inner(model: type[BaseModel], part: int | str) -> type[BaseModel] | None:
    """Return the model of a field or of its elements, or None."""
    field = model.model_fields.get(part) if isinstance(part, str) else None
    return None if field is None else next(_models(field.annotation), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
