"""The scenarios of examples/scenarios are valid; tests/clients runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokenreg.rules.scenario_text import load_scenario
from tests.docs.pages import ROOT

FILES = sorted((ROOT / "examples/scenarios").iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_valid_and_expects_something_of_the_client(path: Path) -> None:
    scenario = load_scenario(path).scenario
    assert scenario.name is not None
    assert scenario.client is not None
    assert all(rule.name is not None for rule in scenario.rules)
