"""Scenarios: a name, a seed, rules and expectations, in YAML or JSON."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brokenreg.rules.expectations import Expectation
from brokenreg.rules.rule import FieldError, Rule, rule_of
from brokenreg.rules.yaml_text import MAX_TEXT, Lines, YAMLTextError, read_yaml

MAX_RULES = 1000

_BREAKS = "\x85\u2028\u2029"
"""Line breaks that PyYAML writes unchanged, but reads as spaces."""


class ScenarioError(ValueError):
    """A scenario that cannot be read; one line names the source, the line and the field.

    `field` is the field alone; None if it is the whole document.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Scenario(BaseModel):
    """Rules in order, with expectations; `seed` is for all draws of the rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=200, description="name")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description="seed of all draws; absent: unchanged")
    rules: tuple[Rule, ...] = Field(
        (), max_length=MAX_RULES, description="in the order in which they are evaluated"
    )
    expect: tuple[Expectation, ...] = Field(
        (), max_length=MAX_RULES, description="expectations: how many exchanges should match a filter"
    )


@dataclass(frozen=True, slots=True)
class SourcedScenario:
    """A scenario, and the place of each of its rules: `rules.yaml:12`."""

    scenario: Scenario
    sources: tuple[str, ...]


def read_scenario(text: str, source: str) -> SourcedScenario:
    """Return the scenario in a YAML text, which errors call `source`. Raise `ScenarioError`."""
    try:
        document, lines = read_yaml(text)
    except YAMLTextError as error:
        raise ScenarioError(f"{source}:{error.line}: {error}") from None
    try:
        scenario = scenario_of(document)
    except FieldError as error:
        where = f"{source}:{_line(lines, error.field)}"
        raise ScenarioError(f"{where}: {error}", error.where) from None
    return SourcedScenario(
        scenario,
        tuple(f"{source}:{lines.get(('rules', place), 1)}" for place in range(len(scenario.rules))),
    )


def load_scenario(path: Path) -> SourcedScenario:
    """Return the scenario in a file. Raise `ScenarioError`."""
    try:
        return decode_scenario(_content(path), str(path))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None


def decode_scenario(content: bytes, source: str) -> SourcedScenario:
    """Return the scenario in the bytes of a YAML text. Raise `ScenarioError`."""
    if len(content) > MAX_TEXT:
        raise ScenarioError(f"{source}:1: longer than the {MAX_TEXT} bytes that are read")
    try:
        return read_scenario(content.decode(), source)
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise ScenarioError(f"{source}:{line}: byte {error.start} is not UTF-8") from None


def _content(path: Path) -> bytes:
    """Return the content of a file, up to a byte more than is allowed. Raise `OSError`, `ScenarioError`."""
    # A FIFO without a writer would block an open that waits.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ScenarioError(f"{path}: is not a regular file")
        return file.read(MAX_TEXT + 1)


def scenario_of(document: Any) -> Scenario:
    """Return the scenario in a JSON document. Raise `FieldError`."""
    if not isinstance(document, dict):
        raise FieldError((), "a scenario is a mapping with `rules`, and perhaps `name`, `seed` and `expect`")
    rules = document.get("rules") or []
    if not isinstance(rules, list):
        raise FieldError(("rules",), "is a list of rules")
    if len(rules) > MAX_RULES:
        raise FieldError(("rules",), f"are {len(rules)}; a scenario has at most {MAX_RULES}")
    read = []
    for place, each in enumerate(rules):
        try:
            read.append(rule_of(each))
        except FieldError as error:
            raise FieldError(("rules", place, *error.field), error.problem) from None
    try:
        return Scenario.model_validate({**document, "rules": read})
    except ValidationError as error:
        raise FieldError.of(error, Scenario) from None


def written(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario as JSON, without defaults."""
    document = scenario.model_dump(mode="json", exclude_none=True, include={"name", "seed"})
    document["rules"] = [rule.written() for rule in scenario.rules]
    if scenario.expect:
        document["expect"] = [each.model_dump(mode="json", exclude_none=True) for each in scenario.expect]
    return document


def write_scenario(scenario: Scenario) -> str:
    """Return the scenario as YAML, which `read_scenario` reads. Raise `ScenarioError` if it is too long."""
    document = written(scenario)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    if any(character in text for character in _BREAKS):
        text = yaml.safe_dump(document, sort_keys=False, width=110)
    if len(text.encode()) > MAX_TEXT:
        raise ScenarioError(f"it would be longer than the {MAX_TEXT} bytes that are read")
    return text


def _line(lines: Lines, field: tuple[str | int, ...]) -> int:
    """Return the line of a field, or, if it is missing, of what it is missing from."""
    while field and field not in lines:
        field = field[:-1]
    return lines.get(field, 1)
