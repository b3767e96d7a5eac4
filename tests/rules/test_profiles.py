"""Profiles: how they are found, and where they can be used."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from brokenreg.rules.profiles import profile_names, profile_of
from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import load_scenario
from tests.process import run_here
from tests.running_registry import Registry
from tests.server import brokenreg

MAX_RESULTS = "ecr-max-results"


@pytest.mark.parametrize("name", profile_names())
def test_each_profile(name: str) -> None:
    profile = profile_of(name)
    assert profile.scenario.name == name
    assert profile.summary.endswith(".")
    assert profile.facts.endswith(".")
    assert profile.scenario.rules
    assert all(rule.name for rule in profile.scenario.rules)


def test_a_profile_that_does_not_exist() -> None:
    for read in (lambda: profile_of("ghcr-hang"), lambda: load_scenario(Path("profile:ghcr-hang"))):
        with pytest.raises(ScenarioError, match=r'no profile "ghcr-hang": did you mean ghcr-hangs\?'):
            read()
    done = run_here("profiles", "ghcr-hang")
    assert (done.returncode, "did you mean ghcr-hangs?" in done.stderr) == (2, True)


def test_for_one_image(http1: Registry) -> None:
    repository = http1.push(10).repository
    path = f"/v2/broken/as/{MAX_RESULTS}/{repository}/tags/list?n="
    assert (http1.ask(f"{path}1001").status, http1.ask(f"{path}1000").status) == (405, 200)
    assert http1.ask(f"/v2/{repository}/tags/list?n=1001").status == 200
    nested = f"/v2/broken/in/job/broken/with/error_status-418_times-1/broken/as/{MAX_RESULTS}/broken/random"
    assert [http1.ask(f"{nested}/manifests/layers-1_size-1").status for _ in range(2)] == [418, 200]
    unknown = http1.ask(f"/v2/broken/as/ecr-max-result/{repository}/tags/list")
    assert unknown.status == 404
    assert "did you mean ecr-max-results?" in json.loads(unknown.body)["errors"][0]["message"]


def test_for_all_requests(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--scenario", f"profile:{MAX_RESULTS}") as server:
        refused = httpx.get(f"{server.url}/v2/broken/random/tags/list?n=1001")
        assert refused.status_code == 405
        (rule,) = httpx.get(f"{server.control}/v1/rules").json()
        assert rule["source"] == f"profile:{MAX_RESULTS}"


def test_the_control_api_lists_them(http1: Registry) -> None:
    with http1.control() as control:
        listed = control.get("/v1/profiles").json()
        assert [each["name"] for each in listed] == profile_names()
        assert control.get(f"/v1/profiles/{MAX_RESULTS}").json() in listed
        refused = control.get("/v1/profiles/ecr-max-result")
        assert (refused.status_code, "did you mean ecr-max-results?" in refused.text) == (404, True)
        loaded = control.put("/v1/scenario?namespace=profiles", json=listed[0]["scenario"])
        assert loaded.status_code == 200


def test_the_command_line_lists_them() -> None:
    text = run_here("profiles").stdout
    assert all(name in text for name in profile_names())
    (told,) = json.loads(run_here("profiles", MAX_RESULTS, "--json").stdout)
    assert told["scenario"]["rules"][0]["fault"]["refusal"] == "ecr"
    assert "renovate" in run_here("profiles", MAX_RESULTS).stdout
