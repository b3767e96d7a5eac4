"""`brokenreg run` and the pytest plugin see what a client sent to any replica."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from brokenreg.client import faults
from brokenreg.pytest_plugin.servers import server_for_tests
from tests.fleet.fleets import name_of
from tests.process import BrokenregProcess, run_here

Pair = tuple[BrokenregProcess, BrokenregProcess]

SCENARIO = """
rules:
  - {name: teapot, fault: {type: error, status: 418}, match: {endpoint: manifest}, skip: 1, times: 1}
expect:
  - {name: both, filter: "endpoint:manifest", count: 2}
  - {name: order, order: ["status:200", "status:418"]}
"""
UNMET = (
    SCENARIO
    + """  - {name: three, filter: "endpoint:manifest", count: 3}
"""
)


@pytest.mark.parametrize(("scenario", "status"), [(SCENARIO, 0), (UNMET, 1)])
def test_a_run_counts_the_exchanges_of_all_replicas(
    pair: Pair, tmp_path: Path, capfd: pytest.CaptureFixture[str], scenario: str, status: int
) -> None:
    (tmp_path / "scenario.yaml").write_text(scenario)
    path = "v2/$BROKENREG_REPOSITORY/manifests/$BROKENREG_TAG"
    script = "; ".join(f"curl -s -o /dev/null {each.url}/{path}" for each in pair)
    options = [f"--{kind}={tmp_path / f'report.{kind}'}" for kind in ("har", "html", "junit")]
    scenario_option = f"--scenario={tmp_path}/scenario.yaml"
    done = run_here("run", "--url", pair[0].control, scenario_option, *options, "--", "sh", "-c", script)
    printed = capfd.readouterr().out
    assert done.returncode == status, done.stderr
    assert "✓ both: endpoint:manifest  got 2, want exactly 2" in printed
    assert "✓ teapot: applied  got 1, want at least 1" in printed
    for number, each in enumerate(pair):
        seen_as_nearest = f"{name_of(each)}/" in printed
        assert seen_as_nearest == bool(status), number
    entries = json.loads((tmp_path / "report.har").read_text())["log"]["entries"]
    assert [each["_replica"] for each in entries] == [name_of(each) for each in pair]
    html = (tmp_path / "report.html").read_text()
    assert 'id="run-1-exchange-1"' in html
    assert 'id="run-1-exchange-2"' in html
    assert "run-1-exchange-3" not in html
    assert all(f"at {name_of(each)}</span>" in html for each in pair)


def test_a_test_sees_the_exchanges_of_all_replicas(pair: Pair) -> None:
    first, second = pair
    with server_for_tests(first.control, ()) as server, server.registry_for_a_test() as registry:
        path = f"v2/broken/in/{registry.namespace}/broken/random/manifests/layers-1_size-10"
        with registry.rule(faults.error(status=418), times=1):
            assert httpx.get(f"{second.url}/{path}").status_code == 418
        assert httpx.get(f"{first.url}/{path}").status_code == 200
        registry.expect("endpoint:manifest", count=2)
        registry.expect(order=["status:418", "status:200"])
        with pytest.raises(AssertionError) as unmet:
            registry.expect("endpoint:manifest", count=3)
        assert "got 2, want exactly 3" in str(unmet.value)
        for at in pair:
            assert f"{name_of(at)}/" in str(unmet.value)
            assert f"{name_of(at)}/" in registry.report()
