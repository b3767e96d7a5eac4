"""The fields of a rule's form, made from the models: the fault's parameters, the match, how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from brokenreg.faults.catalogue import Fault
from brokenreg.rules.fault_reference import ParameterDescription, parameters_of
from brokenreg.rules.rule import Rule, rule_of
from brokenreg.traffic.matching import Match

_OFTEN = ("skip", "times", "probability", "per", "name")
_HEADER = "header"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form. `group` is `fault`, `match` or empty for the rule itself."""

    group: str
    name: str
    help: str
    default: str
    choices: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.group or 'rule'}-{self.name}"


def fields_of(kind: type[Fault]) -> list[Field]:
    """All fields of a rule of that fault."""
    often = {each.name: each for each in parameters_of(Rule)}
    return [
        *(_field("fault", each) for each in parameters_of(kind)),
        *(_field("match", each) for each in parameters_of(Match)),
        *(_field("", often[name]) for name in _OFTEN),
    ]


def _field(group: str, described: ParameterDescription) -> Field:
    default = "required" if described.required else _text(described.default)
    if (group, described.name) == ("match", _HEADER):
        default = "name: glob, name: glob"
    return Field(group, described.name, described.description, default, tuple(described.choices))


def texts_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """What stands in the fields of a rule with one fault: ids and texts."""
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
    """The rule that the texts of a form spell; an empty one stands for the default. Raise `FieldError`."""
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
