"""`brokenreg check`: the expectations of a scenario."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server import Brokenreg, brokenreg, clean_environment

SCENARIO = """
rules:
  - fault: {type: error, status: 503}
    times: 1
expect:
  - {name: it fails once, filter: "fault:error", count: 1}
  - {name: the client retries, filter: "endpoint:manifest status:200"}
  - {name: "none\\e[31m lists", filter: "endpoint:tags", at_most: 0}
"""


def check(running: Brokenreg, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "brokenreg", "check", "--url", running.control, *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_expectations_are_met_one_by_one(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    with brokenreg(tmp_path / "data", "--scenario", str(scenario)) as running:
        status, output, _ = check(running)
        assert (status, output.splitlines()) == (
            1,
            [
                "✗ it fails once: fault:error  got 0, want exactly 1",
                "✗ the client retries: endpoint:manifest status:200  got 0, want at least 1",
                r"✓ none\x1b[31m lists: endpoint:tags  got 0, want at most 0",
                "✗ rule 1: applied  got 0: there was no request in its namespace, want at least 1",
            ],
        )
        url = f"{running.url}/v2/broken/random/manifests/layers-1_size-10"
        assert [httpx.get(url).status_code for _ in range(2)] == [503, 200]
        assert check(running)[0] == 0
        assert '"met": true' in check(running, "--json")[1]
        httpx.get(f"{running.url}/v2/broken/random/tags/list")
        assert check(running)[0] == 1
        httpx.post(f"{running.control}/v1/reset")
        assert "got 0" in check(running)[1]


def test_a_scenario_without_expectations_is_reported(own_registry: Brokenreg) -> None:
    status, output, error = check(own_registry)
    assert (status, output) == (1, "")
    assert error.startswith("Error: the loaded scenario has no expectations and no rules: run")
