"""Scenarios: a name, a seed, rules and expectations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.rules.expectations import Expectation
from brokenreg.rules.registry_needs import RegistryNeeds
from brokenreg.rules.rule import FieldError, Rule, rule_of
from brokenreg.wording import nearest, quoted

MAX_RULES = 1000


class ScenarioError(ValueError):
    """A scenario cannot be read. The message is one line with the source, the line and the field.

    `field` is only the field; None if the whole document is wrong.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnreadableScenarioError(ScenarioError):
    """The file of a scenario cannot be read at all."""


class Scenario(BaseModel):
    """Rules in order, with expectations. `seed` determines all draws of the rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=200, description="name of the scenario")
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**63, description="seed of all draws; by default unchanged"
    )
    rules: tuple[Rule, ...] = Field(
        (), max_length=MAX_RULES, description="rules, in the order in which they are evaluated"
    )
    expect: tuple[Expectation, ...] = Field(
        (), max_length=MAX_RULES, description="expectations: how many exchanges should match a filter"
    )
    registry: RegistryNeeds | None = Field(None, description="what the registry must have")
    client: ClientExpectation | None = Field(None, description="what `brokenreg run` expects of the client")
    requests: Literal["none"] | None = Field(None, description="`none`: no request may arrive")


@dataclass(frozen=True, slots=True)
class SourcedScenario:
    """A scenario, with the source of each of its rules: `rules.yaml:12`.

    `has_files` says that bodies in it come from files.
    """

    scenario: Scenario
    sources: tuple[str, ...]
    has_files: bool = False


def scenario_of(document: Any) -> Scenario:
    """Return the scenario in a JSON document. Raise `FieldError`."""
    if not isinstance(document, dict):
        raise FieldError(
            (), "a scenario is a mapping with the key rules, and optionally name, seed and expect"
        )
    rules = document.get("rules") or []
    if not isinstance(rules, list):
        raise FieldError(("rules",), 'use a list of rules: put "- " before each rule')
    if len(rules) > MAX_RULES:
        raise FieldError(("rules",), f"too many rules ({len(rules)}): use at most {MAX_RULES}")
    read = []
    for place, each in enumerate(rules):
        try:
            read.append(rule_of(each))
        except FieldError as error:
            raise FieldError(("rules", place, *error.field), error.problem) from None
    for place in range(len(read)):
        check_order(read, place, "rules", place)
    try:
        return Scenario.model_validate({**document, "rules": read})
    except ValidationError as error:
        raise FieldError.of(error, Scenario) from None


def check_order(rules: Sequence[Rule], place: int, *within: str | int) -> None:
    """Raise `FieldError` if `after` of the rule at that place names none of the other rules."""
    after = rules[place].after
    if after is None:
        return
    names = [rule.name for other, rule in enumerate(rules) if other != place and rule.name is not None]
    if after not in names:
        hint = nearest(after, names) if names else "give the other rule a name"
        raise FieldError((*within, "after"), f"no rule has the name {quoted(after)}: {hint}")


def written(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario as JSON, without defaults."""
    document = scenario.model_dump(mode="json", exclude_none=True, include={"name", "seed", "requests"})
    if scenario.registry is not None:
        document["registry"] = scenario.registry.model_dump(mode="json", exclude_none=True)
    document["rules"] = [rule.written() for rule in scenario.rules]
    if scenario.client is not None:
        document["client"] = scenario.client.model_dump(mode="json", exclude_defaults=True)
    if scenario.expect:
        document["expect"] = [each.model_dump(mode="json", exclude_none=True) for each in scenario.expect]
    return document
