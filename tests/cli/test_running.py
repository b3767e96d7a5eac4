"""`brokenreg status`, `wait`, `reset`, `scenario`, `breakpoints` and `log --follow` on a running registry."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from brokenreg.client import Client
from tests.process import BrokenregProcess, brokenreg_process, run_here
from tests.server import Brokenreg, clean_environment

SCENARIO = """
rules:
  - {fault: {type: error, status: 503}, times: 1}
expect:
  - {name: it retries, filter: "endpoint:manifest status:200"}
"""
IMAGE = "broken/random/manifests/layers-1_size-10"


def told(running: Brokenreg, *arguments: str) -> str:
    done = run_here(*arguments, BROKENREG_URL=running.control)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_status(own_registry: Brokenreg) -> None:
    lines = told(own_registry, "status").splitlines()
    assert lines[0].startswith("brokenreg ")
    assert f"registry: {own_registry.url}" in lines
    assert "exchanges: 0 (0 in flight, 0 held)" in lines
    assert json.loads(told(own_registry, "status", "--json"))["registry"] == [own_registry.url]


def test_wait_for_one_that_is_ready(own_registry: Brokenreg) -> None:
    assert told(own_registry, "wait", "--timeout", "5s") == ""


def test_wait_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"127.0.0.1:{closed.getsockname()[1]}"
    done = run_here("wait", "--timeout", "200ms", "--url", url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (124, "", 1)
    assert f"no control API responds at http://{url}" in done.stderr
    for wrong in ("soon", "-1s"):
        done = run_here("wait", "--timeout", wrong)
        assert done.returncode == 2
        assert f'--timeout: invalid duration "{wrong}"' in done.stderr


@pytest.mark.slow
def test_wait_until_it_has_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        control = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "brokenreg", "wait", "--url", control]
    with (
        subprocess.Popen(command, env=clean_environment()) as waiting,
        brokenreg_process(tmp_path / "data", "--control", control),
    ):
        assert waiting.wait(timeout=30) == 0


def test_a_scenario_is_loaded_shown_and_reset(own_registry: Brokenreg, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO)
    loaded = told(own_registry, "scenario", "load", str(file), "--namespace", "job-1")
    assert loaded == "loaded 1 rule and 1 expectation\n"
    assert "rules: []\n" in told(own_registry, "scenario", "show")
    assert "status: 503" in told(own_registry, "scenario", "show", "--namespace", "job-1")
    url = f"{own_registry.url}/v2/broken/in/job-1/{IMAGE}"
    assert [httpx.get(url).status_code for _ in range(2)] == [503, 200]
    assert told(own_registry, "log", "--namespace", "job-1").count("\n") > 2
    told(own_registry, "reset", "--namespace", "job-1")
    assert told(own_registry, "log", "--namespace", "job-1") == "no exchanges\n"
    assert told(own_registry, "rules", "list", "--namespace", "job-1").startswith("no rules")


def test_a_wrong_scenario_changes_nothing(own_registry: Brokenreg, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("rules:\n  - fault: {type: error, status: 999}\n")
    done = run_here("scenario", "load", str(file), BROKENREG_URL=own_registry.control)
    assert done.returncode == 2
    assert f'{file}:2: rules[0].fault.status: invalid value "999"' in done.stderr
    assert told(own_registry, "rules", "list").startswith("no rules")
    done = run_here("scenario", "load", str(tmp_path / "none"), BROKENREG_URL=own_registry.control)
    assert (done.returncode, done.stderr) == (3, f"Error: {tmp_path}/none: No such file or directory\n")


@pytest.mark.slow
def test_a_scenario_from_standard_input(own_registry: Brokenreg) -> None:
    command = [sys.executable, "-m", "brokenreg", "scenario", "load", "-", "--url", own_registry.control]
    for text, status in ((SCENARIO, 0), ("rules: 1", 2)):
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=clean_environment(), timeout=30
        )
        assert done.returncode == status
    assert "standard input:1: rules" in done.stderr


def test_breakpoints(own_registry: Brokenreg) -> None:
    added = told(own_registry, "breakpoints", "add", "endpoint:manifest status:200")
    assert added == "breakpoint 1: endpoint:manifest status:200\n"
    assert told(own_registry, "breakpoints", "list") == " 1  endpoint:manifest status:200\n"
    assert json.loads(told(own_registry, "breakpoints", "list", "--json"))["on"] is True
    told(own_registry, "breakpoints", "remove", "1")
    assert told(own_registry, "breakpoints", "list").startswith("no breakpoints; run")
    done = run_here("breakpoints", "remove", "1", BROKENREG_URL=own_registry.control)
    assert done.returncode == 1
    assert 'no breakpoint "1": run "brokenreg breakpoints list"' in done.stderr
    done = run_here("breakpoints", "add", "staus:1", BROKENREG_URL=own_registry.control)
    assert done.returncode == 2
    assert "did you mean status?" in done.stderr


def following(running: Brokenreg, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "brokenreg", "log", "--follow", "--url", running.control, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    )


@pytest.mark.slow
@pytest.mark.parametrize("by", ["ctrl+c", "the end of the server"])
def test_the_log_is_followed_to_its_end(own_process: BrokenregProcess, by: str) -> None:
    httpx.get(f"{own_process.url}/v2/")
    with following(own_process, "--json", "--filter", "method:GET", "--token", "a-secret") as follower:
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        if sys.platform == "linux":
            assert "a-secret" not in Path(f"/proc/{follower.pid}/cmdline").read_text()
        httpx.get(f"{own_process.url}/v2/{IMAGE}")
        second = json.loads(follower.stdout.readline())
        assert (first["path"], second["path"]) == ("/v2/", f"/v2/{IMAGE}")
        if by == "ctrl+c":
            follower.send_signal(signal.SIGINT)
        else:
            own_process.stop()
        assert follower.communicate(timeout=20) == ("", "")
        assert follower.returncode == 0


@pytest.mark.slow
def test_a_followed_log_for_people(own_registry: Brokenreg) -> None:
    with following(own_registry) as follower:
        with Client(own_registry.control) as control:
            control.wait()
        httpx.get(f"{own_registry.url}/v2/broken/error/manifests/503")
        assert follower.stdout is not None
        line = follower.stdout.readline()
        assert "503     GET /v2/broken/error/manifests/503" in line
        assert line.endswith("fault error (broken/error:status-503)\n")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(timeout=20) == 0
