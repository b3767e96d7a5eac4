"""Describes in one line what is wrong with a document that pydantic refused, and what is valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from brokenreg.redaction import redact_text
from brokenreg.wording import counted, nearest

Location = tuple[int | str, ...]

_LARGEST_SHOWN = 10**6
"""Larger bounds are internal limits, and messages do not offer them as valid values."""

_WANTED = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "is a mapping",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "int_type": "write a whole number",
    "list_type": "is a list",
    "missing": "is missing",
    "model_type": "is a mapping",
    "string_type": "write text",
    "tuple_type": "is a list",
}
_WITHOUT_VALUE = ("dict_type", "extra_forbidden", "list_type", "missing", "model_type", "tuple_type")


def error_location(error: ValidationError) -> Location:
    """Return the location of the problem that `describe_error` describes."""
    return _first(error)["loc"]


def describe_error(
    error: ValidationError, model: type[BaseModel], *, is_secret: bool = False, is_complete: bool = False
) -> str:
    """Describe the first problem of a document that should be a `model`, without its location.

    The invalid value is quoted, with its secrets replaced, except if it `is_secret`. With `is_complete`,
    messages of our own validators stay unchanged.
    """
    first = _first(error)
    if first["type"] == "extra_forbidden":
        return f"is not known here; {nearest(str(first['loc'][-1]), _fields(model, first['loc'][:-1]))}"
    said = _WANTED.get(first["type"]) or _bounded(first, model) or _otherwise(first)
    given = first["input"]
    is_hidden = (
        is_secret
        or (is_complete and first["type"] == "value_error")
        or "'" in said
        or first["type"] in _WITHOUT_VALUE
    )
    if isinstance(given, str | int | float) and not is_hidden:
        value = f", not {redact_text(repr(given))[:100]}"
        wanted, semicolon, advice = said.partition("; ") if said.startswith("write ") else (said, "", "")
        said = f"{wanted}{value}{semicolon}{advice}"
    return said


def _first(error: ValidationError) -> ErrorDetails:
    """Return the first problem, with unknown names before missing ones: it may be a misspelling."""
    errors = error.errors(include_url=False)
    return next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])


def _otherwise(first: ErrorDetails) -> str:
    context = first.get("ctx", {})
    match first["type"]:
        case "literal_error":
            return _choice(str(first["input"]), [each.strip("'") for each in _listed(context["expected"])])
        case "string_too_short":
            least = int(context["min_length"])
            return "write something" if least == 1 else f"write at least {counted(least, 'character')}"
        case "string_too_long":
            return f"write at most {counted(int(context['max_length']), 'character')}"
        case "too_long":
            return f"write at most {counted(int(context['max_length']), 'entry', 'entries')}"
        case "string_pattern_mismatch":
            return f"write what matches {context['pattern']}"
    return first["msg"].removeprefix("Value error, ")


def _bounded(first: ErrorDetails, model: type[BaseModel]) -> str:
    """Return the valid range for a number that is out of bounds, or an empty string."""
    context = first.get("ctx", {})
    match first["type"]:
        case "greater_than":
            return f"write more than {context['gt']}"
        case "less_than":
            return f"write less than {context['lt']}"
        case "greater_than_equal":
            least, most = context["ge"], _bound(model, first["loc"], "le")
        case "less_than_equal":
            least, most = _bound(model, first["loc"], "ge"), context["le"]
        case _:
            return ""
    if least is None:
        return f"write {most} or less"
    return f"write {least} or more" if most is None or most > _LARGEST_SHOWN else f"write {least} to {most}"


def _bound(model: type[BaseModel], location: Location, name: str) -> Any:
    """Return the bound `ge` or `le` of a field, or None."""
    for part in location[:-1]:
        model = _inner(model, part) or model
    field = model.model_fields.get(str(location[-1])) if location else None
    metadata = field.metadata if field is not None else ()
    return next((bound for each in metadata if (bound := getattr(each, name, None)) is not None), None)


def _choice(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1)
    if near:
        return f"{given[:100]!r} is not valid; did you mean {near[0]}?"
    return f"write {', '.join(known[:-1])} or {known[-1]}" if known[1:] else f"write {known[0]}"


def _listed(expected: str) -> Iterator[str]:
    """Yield the words in `'a', 'b' or 'c'`."""
    for each in expected.replace(" or ", ", ").split(", "):
        yield each.strip()


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """Return the fields at that location of a model."""
    for part in location:
        model = _inner(model, part) or model
    return list(model.model_fields) or ["no parameters"]


def _inner(model: type[BaseModel], part: int | str) -> type[BaseModel] | None:
    """Return the model of a field or of its elements, or None."""
    field = model.model_fields.get(part) if isinstance(part, str) else None
    return None if field is None else next(_models(field.annotation), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)
