"""A rule: what it matches, which fault is applied, and how often (skip, times, probability)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.faults.catalogue.base import first_problem
from brokenreg.faults.catalogue.parameters import Share
from brokenreg.oci.target import Endpoint
from brokenreg.rules.conflicts import rule_conflict
from brokenreg.traffic.matching import Match
from brokenreg.validation import InvalidValueError, describe_error, error_location
from brokenreg.wording import counted, nearest, quoted

_MAX_FAULTS = 8

ALL_FAULTS = 'run "brokenreg faults"'
"""The hint for errors about unknown or missing faults."""

FAULT = {"title": "Fault", "type": "object", "required": ["type"]}
"""Stands for a fault in the JSON Schema of a rule; `fault_schema` describes the faults."""


def fault_of(value: Any) -> Fault:
    """Return the fault that `{type: <name>, <parameter>: <value>, ...}` spells.

    Raise `ValueError` with a suggestion if the fault is unknown, and `pydantic.ValidationError` if a
    parameter is invalid.
    """
    if isinstance(value, Fault):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError(_not_a_fault(value))  # noqa: TRY004 - pydantic requires this
    kind = CATALOGUE.get(_name_of(value))
    if kind is None:
        raise ValueError(unknown_fault(value["type"]))
    return kind.model_validate({key: each for key, each in value.items() if key != "type"})


def unknown_fault(name: str) -> str:
    """Return that there is no fault of that name, and which one is probably meant."""
    return f"no fault {quoted(name)}: {nearest(name, CATALOGUE, otherwise=ALL_FAULTS)}"


def _not_a_fault(value: Any) -> str:
    """Return how a fault is written; if its name is a key, `{truncate: {after: 64KiB}}`, with that name."""
    keys = list(value) if isinstance(value, dict) else []
    if problem := _key_with_colon(keys, "type"):
        return problem
    if name := next((key for key in keys if key in CATALOGUE), None):
        return f"required: did you mean {{type: {name}}}?"
    return f"use {{type: FAULT, PARAMETER: VALUE, ...}}; {ALL_FAULTS} for the list"


def _key_with_colon(keys: Iterable[Any], *names: str) -> str:
    """Return how to write a key such as `type:error`, which lacks a space, or an empty string."""
    for key in keys:
        name, colon, value = str(key).partition(":")
        if colon and name in names and value in CATALOGUE:
            return f"put a space after the colon: {name}: {value}"
    return ""


def _name_of(value: Any) -> str:
    """Return the name of the fault, from each of the forms that `fault_of` accepts."""
    return str(value["type"] if isinstance(value, dict) else value)


def fault_schema() -> dict[str, Any]:
    """Return the JSON Schema of a fault in a rule."""
    return {"oneOf": [_schema_of(kind) for kind in CATALOGUE.values()]}


def _schema_of(kind: type[Fault]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    properties = {"type": {"const": kind.name, "type": "string"}, **schema.get("properties", {})}
    required = ["type", *schema.get("required", [])]
    return {**schema, "properties": properties, "required": required}


def _faults(value: Any) -> tuple[Fault, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(values) <= _MAX_FAULTS:
        raise ValueError(f"{counted(len(values), 'fault')} in a rule: use 1 to {_MAX_FAULTS}")
    faults = []
    for each in values:
        try:
            faults.append(fault_of(each))
        except ValidationError as error:
            raise ValueError(first_problem(error, CATALOGUE[_name_of(each)])) from None
    return tuple(faults)


def _written(faults: tuple[Fault, ...]) -> Any:
    each = [{"type": fault.name, **fault.parameters()} for fault in faults]
    return each[0] if len(each) == 1 else each


Faults = Annotated[
    tuple[Fault, ...],
    BeforeValidator(_faults),
    PlainSerializer(_written),
    WithJsonSchema(
        {"anyOf": [FAULT, {"type": "array", "minItems": 1, "maxItems": _MAX_FAULTS, "items": FAULT}]}
    ),
]  # fmt: skip
"""One fault, or several that wrap each other: the one nearest to the client first."""

Per = Literal["rule", "repository", "reference", "client"]


class Rule(BaseModel):
    """A rule in the form that scenario files and the control API use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="name of the rule, which also affects its random draws"
    )
    match: Match = Field(
        Match(),
        description="what the rule matches; by default everything at the default endpoint of its fault",
    )
    fault: Faults = Field(
        description="the fault, for example {type: truncate, after: 64KiB}, or a list of faults"
    )
    skip: int = Field(0, ge=0, le=2**31, description="number of matches before the fault is applied")
    times: int | None = Field(
        None,
        le=2**31,
        description="maximum number of times the fault is applied; by default unlimited",
        json_schema_extra={"minimum": 1},
    )
    probability: Share = Field(
        1.0,
        description="share of the matches to which the fault is applied, more than 0; the seed decides which",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    per: Per = Field("rule", description="what `skip` and `times` are counted for")
    after: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="name of another rule; this one matches only after that one was applied",
    )
    enabled: bool = Field(True, description="whether the rule is evaluated")
    optional: bool = Field(
        False, description="whether `check` accepts that the rule is applied less often than `times` says"
    )
    override: bool = Field(
        False,
        description="whether the rule is evaluated after all others, at every endpoint unless match has one",
    )

    @field_validator("times", "probability")
    @classmethod
    def _is_applied(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value <= 0:
            least = "1 or more" if info.field_name == "times" else "more than 0"
            raise InvalidValueError(f"use {least}; to switch a rule off, disable or remove it")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.after is not None and self.after == self.name:
            raise ValueError(f"after names the rule {quoted(self.name)} itself: name another rule")
        if problem := rule_conflict(self.fault, self.match, self.endpoint):
            raise ValueError(problem)
        return self

    @property
    def endpoint(self) -> str:
        """Return the endpoint of the match, or the default endpoint of the faults."""
        if self.match.endpoint is not None:
            return self.match.endpoint
        defaults = [fault.default_endpoint for fault in self.fault]
        if self.override and Endpoint.CONNECT not in defaults:
            return "any"
        return next((each for each in defaults if each != "any"), "any")

    def endpoints(self) -> Collection[Endpoint]:
        """Return the endpoints at which the rule is applied."""
        return self.match.endpoints(self.endpoint)

    def applies_to(self, method: str) -> bool:
        """Return whether one of the faults can be applied to a request with that method."""
        return any(fault.applies_to(method) for fault in self.fault)

    def written(self) -> dict[str, Any]:
        """Return the rule as JSON, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)


class FieldError(ValueError):
    """A document is not a valid rule or scenario; `field` is the path of the wrong field."""

    def __init__(self, field: Sequence[str | int], problem: str) -> None:
        super().__init__(f"{spell_field(field)}: {problem}" if field else problem)
        self.field = tuple(field)
        self.problem = problem

    @property
    def where(self) -> str | None:
        """Return the field as `spell_field` writes it; None if the whole document is wrong."""
        return spell_field(self.field) or None

    @classmethod
    def of(
        cls, error: ValidationError, model: type[BaseModel], within: Sequence[str | int] = ()
    ) -> FieldError:
        """Return the first error of a document that is not a valid `model`."""
        return cls((*within, *error_location(error)), describe_error(error, model))


def spell_field(field: Sequence[str | int]) -> str:
    """Return the path of a field in a document in the usual notation: `rules[2].fault.after`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field).lstrip(".")


def rule_of(document: Any) -> Rule:
    """Return the rule in a JSON or YAML document. Raise `FieldError`."""
    if not isinstance(document, dict):
        raise FieldError((), "a rule is a mapping, such as {fault: {type: truncate, after: 64KiB}}")
    if document.get("fault") is None:
        raise FieldError(("fault",), _missing_fault(document))
    try:
        return Rule.model_validate({**document, "fault": _faults_of(document["fault"])})
    except ValidationError as error:
        raise FieldError.of(error, Rule) from None


def _missing_fault(document: dict[str, Any]) -> str:
    """Return that a rule needs a fault; if a fault is one of its keys, `error: 503`, with that fault."""
    if problem := _key_with_colon(document, "type", "fault"):
        return problem
    kind = document.get("type")
    if isinstance(kind, str) and kind in CATALOGUE:
        return f"required: write fault: {{type: {kind}, ...}}"
    name = next((key for key in document if key in CATALOGUE), "")
    return f"required: did you mean {{type: {name}}}?" if name else "required, such as {type: error}"


def _faults_of(value: Any) -> list[Fault]:
    """Return the faults as the validator of `Rule` does, but raise an error that names the parameter."""
    faults = []
    for place, each in enumerate(value if isinstance(value, list) else [value]):
        within = ("fault", place) if isinstance(value, list) else ("fault",)
        try:
            faults.append(fault_of(each))
        except ValidationError as error:
            raise FieldError.of(error, CATALOGUE[_name_of(each)], within) from None
        except ValueError as error:
            raise FieldError((*within, "type"), str(error)) from None
    return faults
