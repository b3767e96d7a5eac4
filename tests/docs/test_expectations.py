"""No scenario in the documentation or the examples passes with a client that gives up at the first failure.

The README once had two: `endpoint:layer method:GET`, `at_least: 3`, and `ended:disconnected`, `count: 0`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from brokenreg.rules.expectation_counts import Expectations
from brokenreg.rules.rule import Rule
from brokenreg.rules.scenario import Scenario, scenario_of
from brokenreg.rules.scenario_text import load_scenario
from brokenreg.traffic.exchange import Ended, Exchange
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.traffic.test_comparisons import finished, logged

MANIFEST = "/v2/app/manifests/v1"
LAYERS = [f"/v2/app/blobs/sha256:{digit * 64}" for digit in "123"]
_STATUSES = {"error": 503, "rate-limit": 429, "not-found": 404, "challenge": 401, "redirect": 307}
_ENDINGS = {"truncate": Ended.ABORTED, "reset": Ended.ABORTED}


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """Yield those in which the client should succeed, with where they are."""
    for name in pages.names():
        for block in pages.read(name).blocks:
            if block.language == "yaml" and "expect:" in block.text:
                text = yaml.load(block.text, yaml.BaseLoader)
                if "rules" in text:
                    yield f"{name}:{block.line}", scenario_of(text)
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        if "rules:" in path.read_text():
            yield _name(path), load_scenario(path).scenario


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def gives_up(rule: Rule) -> list[Exchange]:
    """A pull whose last request fails because of the rule: the manifest, or the last of three layers."""
    fault = rule.fault[0]
    is_of_layers = "layer" in {str(each) for each in rule.endpoints()} and rule.endpoint != "any"
    paths = [MANIFEST, *LAYERS] if is_of_layers else [MANIFEST]
    *good, last = [finished(place, 0.1, path=path) for place, path in enumerate(paths)]
    last.status = _STATUSES.get(fault.name, 200)
    last.ended = _ENDINGS.get(fault.name, Ended.COMPLETE)
    last.faults, last.rule = (fault.name,), rule.name
    last.has_wrong_bytes = fault.name in ("corrupt", "swap")
    return [*good, last]


def is_green(scenario: Scenario, exchanges: list[Exchange]) -> bool:
    expectations = Expectations()
    expectations.load(scenario.expect)
    for each in logged(*exchanges):
        expectations.observe(each)
    return all(each.met for each in expectations.verdicts())


FOUND = [
    pytest.param(scenario, id=where)
    for where, scenario in scenarios()
    if scenario.expect and (scenario.client is None or scenario.client.exit == "0")
]


def test_some_were_found() -> None:
    assert len(FOUND) > 10


@pytest.mark.parametrize("scenario", FOUND)
def test_a_client_that_gives_up_is_red(scenario: Scenario) -> None:
    for rule in scenario.rules:
        assert not is_green(scenario, gives_up(rule)), "the expectations are met by a client that gives up"


@pytest.mark.parametrize(
    ("rule", "expectation"),
    [
        ({"fault": "truncate"}, {"filter": "endpoint:layer method:GET", "at_least": 3}),
        ({"fault": "truncate"}, {"filter": "ended:disconnected", "count": 0}),
        ({"fault": "rate-limit"}, {"filter": "retry-after:ignored", "count": 0}),
    ],
)
def test_what_the_readme_once_had_is_found(rule: dict[str, str], expectation: dict[str, object]) -> None:
    scenario = scenario_of({"rules": [rule], "expect": [expectation]})
    assert is_green(scenario, gives_up(scenario.rules[0]))
