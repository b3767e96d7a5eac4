"""A scenario says what it needs of the registry: a run provides it, and a running registry must have it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from brokenreg.rules.registry_needs import RegistryNeeds
from brokenreg.rules.rule import FieldError
from brokenreg.rules.scenario_text import read_scenario, write_scenario
from tests.exam.running import MANIFEST, run
from tests.server import brokenreg, clean_environment

STATUS = """
import ssl, sys, urllib.error, urllib.request
try:
    print(sys.argv[1][:5], urllib.request.urlopen(sys.argv[1]).status)
except urllib.error.HTTPError as error:
    print(sys.argv[1][:5], error.code, error.headers["www-authenticate"].split()[0])
"""
CLIENT = (sys.executable, "status.py", MANIFEST)
"""A client that prints the scheme and the status."""

NEEDS = {
    "none": ("", "http: 200"),
    "basic": ("registry: {auth: basic}", "http: 401 Basic"),
    "token": ("registry: {auth: token}", "http: 401 Bearer"),
    "tls": ("registry: {tls: self-signed}", "https 200"),
    "both": ("registry: {tls: self-signed, auth: token}", "https 401 Bearer"),
}
TOKEN = "registry: {auth: token}"
LACKS_LOGIN = (
    'registry.auth: the scenario needs "token", but this registry has "none": start it with --auth token'
)


@pytest.fixture(autouse=True)
def client(tmp_path: Path) -> None:
    (tmp_path / "status.py").write_text(STATUS)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_each_scenario_has_what_it_needs(tmp_path: Path, jobs: str) -> None:
    words = []
    for name, (text, output) in NEEDS.items():
        (tmp_path / f"{name}.yaml").write_text(f'name: {name}\n{text}\nclient: {{output: "{output}"}}\n')
        words += ["--scenario", f"{name}.yaml"]
    done = run(tmp_path, *words, *words, "--jobs", jobs, "--", *CLIENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n✓ ") >= len(NEEDS)


def test_the_line_that_repeats_a_run_needs_no_environment(tmp_path: Path) -> None:
    (tmp_path / "token.yaml").write_text(f"{TOKEN}\nclient: {{exit: failure}}")
    done = run(tmp_path, "--scenario", "token.yaml", "--", *CLIENT)
    (line,) = (each for each in done.stdout.splitlines() if " brokenreg run --scenario" in each)
    before, *words = shlex.split(line)
    again = run(tmp_path, *words[2:])
    assert before == "BROKENREG_OFFLINE=1", "only what the scenario does not say"
    assert (done.returncode, again.returncode) == (1, 1)
    assert "http: 401 Bearer" in done.stdout
    assert "http: 401 Bearer" in again.stdout


def test_a_scenario_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token.yaml").write_text(f'{TOKEN}\nclient: {{output: "*401 Bearer"}}')
    done = run(tmp_path, "--scenario", "token.yaml", "--", *CLIENT, BROKENREG_AUTH="basic")
    assert done.returncode == 0, done.stdout


def test_a_running_registry_that_lacks_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token.yaml").write_text(TOKEN)
    (tmp_path / "tls.yaml").write_text("registry: {tls: self-signed}")
    with brokenreg(tmp_path / "data", "--offline") as running:
        command = ("--url", running.control, "--", *CLIENT)
        token = run(tmp_path, "--scenario", "token.yaml", *command)
        tls = run(tmp_path, "--scenario", "tls.yaml", *command)
        loaded = httpx.put(f"{running.control}/v1/scenario", content=TOKEN)
    assert (token.returncode, tls.returncode, loaded.status_code) == (2, 2, 400)
    assert token.stderr.endswith(f"Error: --scenario token.yaml: {LACKS_LOGIN}\n")
    lacks_tls = "the scenario needs TLS, but this registry has none: start it with --tls self-signed"
    assert tls.stderr.endswith(f"Error: --scenario tls.yaml: registry.tls: {lacks_tls}\n")
    assert loaded.json()["detail"] == LACKS_LOGIN


def test_a_running_registry_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text("registry: {tls: self-signed, auth: token}")
    with brokenreg(tmp_path / "data", "--offline", "--tls", "self-signed", "--auth", "token") as running:
        loaded = httpx.put(f"{running.control}/v1/scenario", content=(tmp_path / "both.yaml").read_bytes())
        shown = httpx.get(f"{running.control}/v1/scenario", headers={"accept": "application/json"}).json()
        replaced = httpx.put(f"{running.control}/v1/scenario", content="seed: 1")
    assert loaded.status_code == 200
    assert shown["registry"] == {"auth": "token", "tls": "self-signed"}
    assert "registry" not in replaced.text


def test_a_registry_that_lacks_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "token.yaml").write_text(TOKEN)
    done = subprocess.run(
        [sys.executable, "-m", "brokenreg", "serve", "--ephemeral", "--listen", "127.0.0.1:0",
         "--control", "off", "--scenario", "token.yaml"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.endswith(f"token.yaml: {LACKS_LOGIN}\n")


def test_it_is_written_and_read_again() -> None:
    read = read_scenario(NEEDS["both"][0], "a.yaml").scenario
    assert read.registry == RegistryNeeds(auth="token", tls="self-signed")
    assert read_scenario(write_scenario(read), "b.yaml").scenario == read


def test_several_scenarios_need_all_of_it() -> None:
    both = RegistryNeeds(auth="token").merged(RegistryNeeds(tls="self-signed"))
    assert list(both.options()) == ["--auth", "token", "--tls", "self-signed"]
    with pytest.raises(FieldError, match="needs TLS"):
        both.check("token", has_tls=False)
    both.check("token", has_tls=True)
