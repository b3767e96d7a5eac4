"""`brokenreg scenario schema`: editors accept what brokenreg accepts, and mark mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from brokenreg.cli.main import main
from brokenreg.faults.catalogue import CATALOGUE
from brokenreg.rules.fault_descriptions import describe
from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_schema import scenario_schema
from brokenreg.rules.scenario_text import read_scenario
from tests.docs import pages

SCHEMA = scenario_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def documented() -> list[Any]:
    """The scenarios in the documentation."""
    blocks = [
        pytest.param(block.text, id=page.where(block.line))
        for page in map(pages.read, pages.names())
        for block in page.blocks
        if block.language == "yaml" and {"rules", "expect"} & yaml.safe_load(block.text).keys()
    ]
    examples = [pytest.param(describe(kind).examples.scenario, id=name) for name, kind in CATALOGUE.items()]
    return [*blocks, *examples]


def problems(text: str) -> list[str]:
    """What the schema says of a scenario, as an editor reads it: with numbers and booleans."""
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_command_prints_a_schema() -> None:
    result = CliRunner().invoke(main, ["scenario", "schema"])
    assert result.exit_code == 0
    assert json.loads(result.output) == SCHEMA
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", documented())
def test_documented_scenarios(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "rules: [{fault: not-found}]",
        "rules: [{fault: {type: timeout, dur: 1h15m30.5s}}]",
        "rules: [{fault: {type: latency, dur: 0}}]",
        "rules: [{fault: {type: truncate, after: 1.5KiB}}, {fault: {type: truncate, after: 50%}}]",
        "rules: [{fault: {type: truncate, after: 0.5}}, {fault: {type: truncate, after: 1024}}]",
        "rules: [{fault: [{type: latency, dur: 1s}, {type: header, header: etag}]}]",
        "rules: [{fault: not-found, match: {endpoint: manifest, reference: 1.10, header: {accept: '*'}}}]",
        "rules: [{fault: not-found, probability: 33%}, {fault: not-found, probability: 0.5, per: client}]",
        "{name: 7, seed: -1, expect: [{filter: status:4xx, count: 0}]}",
    ],
)
def test_what_is_valid(text: str) -> None:
    read_scenario(text, "x")
    assert problems(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "rule: []",
        "rules: {fault: not-found}",
        "rules: [{match: {endpoint: layer}}]",
        "rules: [{fault: truncat}]",
        "rules: [{fault: timeout}]",
        "rules: [{fault: {after: 64KiB}}]",
        "rules: [{fault: {type: truncat, after: 64KiB}}]",
        "rules: [{fault: {type: truncate, aftr: 64KiB}}]",
        "rules: [{fault: {type: truncate, after: lots}}]",
        "rules: [{fault: {type: truncate, end: bang}}]",
        "rules: [{fault: {type: timeout}}]",
        "rules: [{fault: {type: timeout, dur: 5 seconds}}]",
        "rules: [{fault: {type: timeout, dur: 2}}]",
        "rules: [{fault: {type: error, status: 999}}]",
        "rules: [{fault: []}]",
        "rules: [{fault: not-found, match: {endpoint: layers}}]",
        "rules: [{fault: not-found, match: {repo: a}}]",
        "rules: [{fault: not-found, times: 0}]",
        "rules: [{fault: not-found, probability: 50}]",
        "rules: [{fault: not-found, probability: 0}]",
        "rules: [{fault: not-found, skip: -1}]",
        "rules: [{fault: not-found, per: image}]",
        "expect: [{count: 1}]",
        "expect: [{filter: status:404, atleast: 1}]",
        "seed: abc",
    ],
)
def test_typical_mistakes(text: str) -> None:
    with pytest.raises(ScenarioError):
        read_scenario(text, "x")
    assert problems(text)


def test_a_mistake_is_about_the_named_fault_alone() -> None:
    (problem,) = problems("rules: [{fault: {type: truncate, aftr: 64KiB}}]") or [""]
    assert "'aftr' was unexpected" in problem


def test_faults_have_their_descriptions() -> None:
    kinds = SCHEMA["$defs"]["Fault"]["properties"]["type"]["oneOf"]
    assert {each["const"]: each["description"] for each in kinds} == {
        name: kind.summary() for name, kind in CATALOGUE.items()
    }
    assert SCHEMA["$defs"]["truncate"]["properties"]["after"]["description"]
