"""The scenarios of examples/scenarios: the verdicts of skopeo and podman, each red for the right reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from brokenreg.rules.scenario_text import load_scenario
from tests.clients.private import PROGRAMS, Client
from tests.clients.programs import need
from tests.docs.pages import ROOT
from tests.exam.running import run

SCENARIOS = ROOT / "examples/scenarios"
BOTH = "skopeo podman"
RED: dict[str, dict[str, str]] = {
    "cut-layer.yaml": {
        "the client requests the layer again": "skopeo",
        "the reset": "",
        "the client's exit status": "skopeo",
        "the client's copy": "skopeo",
    },
    "many-layers.yaml": {
        "the client gets each layer once": "",
        "it uses at most 8 connections in total": BOTH,
        "each layer takes a while": "",
        "the client's exit status": "",
        "the client's copy": "",
    },
    "manifest-fails-twice.yaml": {
        "the client gets the manifest in the end": BOTH,
        "the page of the gateway": BOTH,
        "the client's exit status": BOTH,
        "the client's copy": BOTH,
    },
    "not-found.yaml": {
        "the client never requests a blob": "",
        "it does not repeat the request": "",
        "no manifest": "",
        "the client's exit status": "",
        "the client's output": "",
    },
    "rate-limit.yaml": {
        "the client does not come too early": "",
        "it comes again in time": "",
        "the rate limit": "",
        "the client's exit status": "",
        "the client's copy": "",
    },
    "redirect.yaml": {
        "the client logs in": "",
        "it follows the redirect": "",
        "its credentials do not follow": "",
        "the redirect": "",
        "the client's exit status": "",
        "the client's copy": "",
    },
    "resume-layer.yaml": {
        "the client requests only the rest": BOTH,
        "the reset": "",
        "the client's exit status": "skopeo",
        "the client's copy": "skopeo",
    },
    "slow-layer.yaml": {
        "the client waits for the slow layer": "",
        "it disconnects during the stall of 4s": BOTH,
        "it requests the stalled layer again": BOTH,
        "the slow layer": "",
        "the stall": "",
        "the client's exit status": "",
        "the client's copy": "",
    },
    "token-expires.yaml": {
        "the client gets another token and the layer": BOTH,
        "the token has expired": "",
        "the client's exit status": BOTH,
        "the client's copy": BOTH,
    },
    "wrong-bytes.yaml": {
        "the client reads the layer to its end": "",
        "the wrong byte": "",
        "the client's exit status": "",
        "the client's output": "",
        "the client's copy": "",
    },
    "wrong-manifest.yaml": {
        "the client reads the manifest": "",
        "it requests no blob": BOTH,
        "the wrong byte": "",
        "the client's exit status": BOTH,
    },
}
"""All verdicts of a scenario, each with the clients for which it is red.

skopeo repeats no request but after a 429, podman pulls again after a reset. Neither of them resumes, ends a
stall, gets a new token, uses connections again, or compares a manifest with Docker-Content-Digest.
"""

ALWAYS = ("the client sends requests", "the client ends in time")
SKOPEO = ("skopeo", "copy", "--src-tls-verify=false", "docker://{image}", "oci:{workdir}/copy:v1")

PODMAN = """
podman() {
    command podman --root="$STORE/root" --runroot="$STORE/run" --tmpdir="$STORE/tmp" --storage-driver=vfs \\
        --events-backend=none "$@"
}
STORE=$(mktemp -d -p "$SHORT")
podman pull --tls-verify=false "$BROKENREG_IMAGE" &&
podman save --format=oci-archive --output="$BROKENREG_WORKDIR/copy" "$BROKENREG_IMAGE"
"""
"""With a new store for each scenario, because podman does not request what it has."""

COMMANDS = {"skopeo": SKOPEO, "podman": ("sh", "-c", PODMAN)}


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def verdicts(junit: Path) -> dict[str, dict[str, bool]]:
    """Return whether each verdict of each scenario is met, by their names."""
    suites = ElementTree.parse(junit).getroot().iter("testsuite")
    return {
        suite.attrib["name"]: {
            case.attrib["name"].partition(": ")[0]: case.find("failure") is None
            for case in suite.iter("testcase")
        }
        for suite in suites
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_verdicts(client_env: dict[str, str], short_folder: Path, tmp_path: Path, name: str) -> None:
    need(*PROGRAMS[name], root=name == "podman")
    files = [word for each in RED for word in ("--scenario", str(SCENARIOS / each))]
    with environment({**client_env, "SHORT": str(short_folder)}):
        done = run(tmp_path, *files, "--junit", "junit.xml", "--", *COMMANDS[name])
    assert done.returncode == 1, done.stderr
    found = verdicts(tmp_path / "junit.xml")
    for file, red in RED.items():
        wanted = dict.fromkeys(ALWAYS, True) | {each: name not in clients for each, clients in red.items()}
        assert found[load_scenario(SCENARIOS / file).scenario.name or ""] == wanted, done.stdout


def test_all_scenarios_are_listed() -> None:
    assert sorted(each.name for each in SCENARIOS.iterdir()) == sorted(RED)


def test_none_is_green_without_its_fault(skopeo: Client, client_env: dict[str, str], tmp_path: Path) -> None:
    """The pull of another image is healthy, because no rule matches it."""
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    for file in RED:
        text = (SCENARIOS / file).read_text().replace("match: {", "match: {client: nobody, ")
        (healthy / file).write_text(text)
    files = [word for each in RED for word in ("--scenario", str(healthy / each))]
    with environment(client_env):
        done = run(tmp_path, *files, "--junit", "junit.xml", "--", *SKOPEO)
    assert done.stdout.count("\n✗ ") == len(RED), done.stdout
    for file, found in zip(RED, verdicts(tmp_path / "junit.xml").values(), strict=True):
        rules = {each.name or "" for each in load_scenario(SCENARIOS / file).scenario.rules}
        assert {each for each in found if not found[each]} > rules, "not only the rules are red"


@pytest.mark.parametrize(
    "form", ["dir:{workdir}/x", "docker-archive:{workdir}/x.tar", "oci-archive:{workdir}/x"]
)
def test_copies_of_skopeo_are_intact(
    skopeo: Client, client_env: dict[str, str], tmp_path: Path, form: str
) -> None:
    (tmp_path / "intact.yaml").write_text("client: {intact: true}")
    with environment(client_env):
        done = run(tmp_path, "--scenario", "intact.yaml", "--",
                   "skopeo", "copy", "--src-tls-verify=false", "docker://{image}", form)  # fmt: skip
    assert done.returncode == 0, done.stdout
