"""The exam of real clients, in some quick cases, and what they do that its outcomes do not say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from documentation.clients.results import read_results
from tests.clients import private
from tests.clients.examined.clients import CLIENTS, version_of
from tests.clients.programs import need
from tests.exam.running import assert_nothing_left, environment

QUICK = "*-[45]0[0-4]*"
"""Cases in which the registry responds with an error."""

GOOD = {
    "layer-403",
    "layer-404",
    "layer-always-503",
    "manifest-404",
    "manifest-always-503",
    "ping-401-without-challenge",
}


def brokenreg(client: str, tmp_path: Path, *words: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Run `brokenreg` in the environment of a client; the client's version, and the process."""
    examined = CLIENTS[client]
    need(*examined.programs, module=examined.module, root=examined.needs_root)
    with private.short_folder() as folder, examined.ready(folder) as env:
        version = version_of(examined, env)
        own = {
            key: value for key, value in environment(tmp_path).items() if key not in env or key == "TMPDIR"
        }
        done = subprocess.run(
            [sys.executable, "-m", "brokenreg", *words],
            capture_output=True, text=True, env={**env, **own}, cwd=tmp_path, timeout=90,
        )  # fmt: skip
    assert_nothing_left(tmp_path)
    return version, done


def exam(client: str, tmp_path: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """Examine how a client pulls; its version, and the results by case."""
    pull = ("--pull", CLIENTS[client].commands["pull"])
    version, done = brokenreg(client, tmp_path, "exam", *options, "--json", "exam.json", *pull)
    assert done.returncode in (0, 1), done.stderr
    return version, {each["name"]: each for each in json.loads((tmp_path / "exam.json").read_text())["cases"]}


def test_skopeo(tmp_path: Path) -> None:
    _, cases = exam("skopeo", tmp_path, "--only", QUICK, "--jobs", "2")
    assert len(cases) >= 10
    found = {each["outcome"] for each in cases.values()}
    assert found <= {"recovered", "failed cleanly", "gave up too soon"}
    assert {name for name, each in cases.items() if each["good"]} >= GOOD


@pytest.mark.parametrize(
    ("client", "case", "options"),
    [
        ("ctr", "layer-cut", ()),
        ("skopeo", "limit-429", ()),
        ("podman", "layer-cut-reset", ()),
        ("docker", "layer-500", ()),
        ("buildah", "manifest-no-reply", ()),
        ("skopeo", "layer-stall", ("--timeout", "5s")),
    ],
)
def test_a_client_does_what_is_published(
    tmp_path: Path, client: str, case: str, options: tuple[str, ...]
) -> None:
    """Other versions than the published one may do something else, but they are examined."""
    version, cases = exam(client, tmp_path, "--only", case, *options)
    published = read_results()[client]
    if version == published.version:
        assert cases[case]["outcome"] == published.cases[case].outcome
    assert cases[case]["outcome"] != "not examined"


@pytest.mark.parametrize("client", ["ctr", "docker"])
def test_a_client_requests_the_rest_of_a_layer(tmp_path: Path, client: str) -> None:
    """It resumes with Range after a cut, and does not start again."""
    scenario = tmp_path / "cut.yaml"
    scenario.write_text(
        """\
client: {image: broken/random:layers-1_size-64kib, exit: any}
rules:
  - {name: the cut, match: {endpoint: layer, method: GET}, fault: {type: truncate, after: 16KiB}, times: 1}
expect:
  - {name: the rest, filter: "endpoint:layer status:206", count: 1}
"""
    )
    command = CLIENTS[client].commands["pull"].split()
    version, done = brokenreg(client, tmp_path, "run", "--scenario", str(scenario), "--", *command)
    if version == read_results()[client].version:
        assert done.returncode == 0, done.stdout
    assert "✓ the cut" in done.stdout
