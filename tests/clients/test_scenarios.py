"""The scenarios of examples/scenarios: the verdicts that skopeo gets, each red for the right reason."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.clients.private import Client
from tests.docs.pages import ROOT
from tests.exam.running import run

SCENARIOS = ROOT / "examples/scenarios"
RED: dict[str, list[str]] = {
    "cut-layer.yaml": ["client-exit", "client-intact"],
    "manifest-fails-twice.yaml": ["filter", "rule", "client-exit", "client-intact"],
    "not-found.yaml": [],
    "rate-limit.yaml": [],
    "wrong-bytes.yaml": [],
}
"""The verdicts that are not as expected: skopeo gives up after a 503 and after a layer that is cut off."""


def test_all_are_listed() -> None:
    assert sorted(each.name for each in SCENARIOS.iterdir()) == sorted(RED)


@pytest.mark.parametrize("name", RED)
def test_skopeo(
    skopeo: Client, client_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for variable, value in client_env.items():
        monkeypatch.setenv(variable, value)
    copy = ("skopeo", "copy", "--src-tls-verify=false", "docker://{image}", "oci:{workdir}/copy:v1")
    done = run(tmp_path, "--scenario", str(SCENARIOS / name), "--junit", "junit.xml", "--", *copy)
    failures = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("failure")
    assert [each.attrib["type"] for each in failures] == RED[name], done.stdout
    assert done.returncode == (1 if RED[name] else 0)


@pytest.mark.parametrize(
    "form", ["dir:{workdir}/x", "docker-archive:{workdir}/x.tar", "oci-archive:{workdir}/x"]
)
def test_copies_of_skopeo_are_intact(
    skopeo: Client, client_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    for variable, value in client_env.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "intact.yaml").write_text("client: {intact: true}")
    done = run(tmp_path, "--scenario", "intact.yaml", "--",
               "skopeo", "copy", "--src-tls-verify=false", "docker://{image}", form)  # fmt: skip
    assert done.returncode == 0, done.stdout
