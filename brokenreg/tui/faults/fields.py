"""The fields of a rule as texts: what a form shows, and the rule that it describes. Free of Textual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from brokenreg.faults.catalogue import Fault
from brokenreg.oci.target import Endpoint
from brokenreg.parameter_descriptions import ParameterDescription, default_of, parameters_of, usage_of
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.traffic.matching import Match

_OFTEN = ("skip", "times", "probability", "per", "name")
_HEADER = "header"
_GLOBS = {
    "repository": "a glob",
    "reference": "a glob",
    "method": "a glob",
    "client": "an address, a network or a glob",
    "user": "a glob",
    _HEADER: "name: glob, name: glob",
}
"""The valid values of fields that match globs."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form. `group` is `fault`, `match` or empty for the rule itself.

    `help` explains it in full. `usage` names the valid values, and `default` what applies without one.
    """

    group: str
    name: str
    help: str
    usage: str
    default: str
    choices: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.group or 'rule'}-{self.name}"


def fields_of(kind: type[Fault], *, override: bool = False) -> list[Field]:
    """Return all fields of a rule or an override with that fault."""
    endpoint = "any" if override and kind.default_endpoint != Endpoint.CONNECT else kind.default_endpoint
    often = {each.name: each for each in parameters_of(Rule)}
    return [
        *(_field("fault", each, "not set") for each in parameters_of(kind)),
        *(
            _field("match", each, endpoint if each.name == "endpoint" else "any")
            for each in parameters_of(Match)
        ),
        *(_field("", often[name], "unlimited" if name == "times" else "not set") for name in _OFTEN),
    ]


def _field(group: str, described: ParameterDescription, absent: str) -> Field:
    """Return a field. `absent` is its default if the model has none."""
    default = "required" if described.required else default_of(described) or absent
    name = described.name
    globs = _GLOBS.get(name, "") if group == "match" else ""
    usage = "" if globs else "only in a scenario file" if _is_nested(described) else usage_of(described)
    choices = described.choices or (["true", "false"] if isinstance(described.default, bool) else [])
    return Field(group, name, _help(described, usage), globs or usage, default, tuple(choices))


def _is_nested(described: ParameterDescription) -> bool:
    """Return whether a value is a list or a mapping, which a line of text cannot be."""
    schema = described.json_schema
    return any(each.get("type") in ("array", "object") for each in (schema, *schema.get("anyOf", ())))


def _help(described: ParameterDescription, usage: str) -> str:
    """Return what a field means, what is valid, and its default, unless the description says so."""
    default = default_of(described)
    quoted = f'"{default}"' if " " in default else default
    applies = "required" if described.required else f"by default {quoted}" if default else ""
    valid = ", ".join(filter(None, (usage, applies)))
    return f"{described.description} ({valid})" if valid else described.description


def texts_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the texts of the fields of a rule with one fault, by id."""
    written = rule.written()
    for name, value in rule.fault[0].parameters().items():
        if value is not None:
            yield f"fault-{name}", _text(value)
    for name, value in written.get("match", {}).items():
        yield f"match-{name}", _text(value)
    for name in _OFTEN:
        if name in written:
            yield f"rule-{name}", _text(written[name])


def rule_from(kind: type[Fault], texts: Mapping[Field, str], *, enabled: bool, override: bool) -> Rule:
    """Return the rule that the texts of a form describe; empty text means the default. Raise `FieldError`."""
    fault: dict[str, Any] = {"type": kind.name}
    match: dict[str, Any] = {}
    document: dict[str, Any] = {"fault": fault, "match": match, "enabled": enabled, "override": override}
    into = {"fault": fault, "match": match, "": document}
    for field, text in texts.items():
        if text:
            is_header = field.group == "match" and field.name == _HEADER
            into[field.group][field.name] = _headers(text) if is_header else text
    return rule_of(document)


def _headers(text: str) -> dict[str, str]:
    pairs = (each.partition(":") for each in text.split(","))
    return {name.strip(): value.strip() or "*" for name, _, value in pairs}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
