"""`brokenreg run --jobs`: scenarios in parallel, each with a registry of its own."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.exam.running import MANIFEST, assert_nothing_left, run, start
from tests.process import run_here
from tests.server import brokenreg

pytestmark = pytest.mark.slow

_MEETS = """
import os, pathlib, sys, time, urllib.error, urllib.request
url, image = sys.argv[1:]
print("begin", image, flush=True)
pathlib.Path(f"here-{os.getpid()}").touch()
deadline = time.monotonic() + 30
while len(list(pathlib.Path().glob("here-*"))) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
assert time.monotonic() < deadline, "the other client never came"
try:
    print(urllib.request.urlopen(url).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print("no connection")
print("end", flush=True)
"""
MEETS = (sys.executable, "-c", _MEETS, MANIFEST, "{image}")
"""A client that waits for another one to run at the same time, and then prints the status of a manifest."""


def scenarios(tmp_path: Path, *texts: str) -> list[str]:
    arguments = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(f"name: scenario {number}\n{text}")
        arguments += ["--scenario", f"{number}.yaml"]
    return arguments


def error(status: int) -> str:
    return (
        f"rules: [{{name: fails, fault: {{type: error, status: {status}}}, match: {{endpoint: manifest}}}}]\n"
    )


def test_scenarios_in_parallel(tmp_path: Path) -> None:
    """Each client gets its own fault; output and results are in order and not mixed."""
    arguments = scenarios(tmp_path, error(503), error(418))
    done = run(tmp_path, *arguments, "--jobs", "2", "--har", "e.har", "--", *MEETS)
    assert (done.returncode, done.stderr) == (0, "")
    parts = [block.partition(" ──\n") for block in done.stdout.split("── ")[1:]]
    blocks = {name: output.split("\n\n")[0].split() for name, _, output in parts}
    assert {name: (words[0], *words[2:]) for name, words in blocks.items()} == {
        "scenario 0": ("begin", "503", "end"),
        "scenario 1": ("begin", "418", "end"),
    }
    assert done.stdout.index("✓ scenario 0") < done.stdout.index("✓ scenario 1")
    assert done.stdout.endswith("\n2 of 2 scenarios as expected\n")
    entries = json.loads((tmp_path / "e.har").read_text())["log"]["entries"]
    assert [each["response"]["status"] for each in entries] == [503, 418]


def test_rules_for_connections_concern_their_own_scenario_alone(tmp_path: Path) -> None:
    refused = "rules: [{name: refused, fault: {type: accept, form: reset}}]\n"
    arguments = scenarios(tmp_path, refused, error(418))
    done = run(tmp_path, *arguments, "--jobs", "2", "--", *MEETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no connection\n" in done.stdout
    assert "418\n" in done.stdout


def test_with_a_registry_that_is_shared(tmp_path: Path) -> None:
    arguments = scenarios(tmp_path, error(503), error(418))
    with brokenreg(tmp_path / "data") as running:
        done = run(tmp_path, *arguments, "--jobs", "2", "--url", running.control, "--", *MEETS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"503", "418"} <= set(done.stdout.split())


def test_more_scenarios_than_jobs(tmp_path: Path) -> None:
    script = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"
    texts = ["", "expect: [{name: never, filter: 'status:418'}]\n", "", "", ""]
    done = run(
        tmp_path, *scenarios(tmp_path, *texts), "--jobs", "2", "--", sys.executable, "-c", script, MANIFEST
    )
    assert done.returncode == 1
    marks = [line.split("  ")[0] for line in done.stdout.splitlines() if line[:1] in ("✓", "✗")]
    assert marks == [f"{'✗' if number == 1 else '✓'} scenario {number}" for number in range(5)]


def test_the_first_error_ends_all(tmp_path: Path) -> None:
    arguments = scenarios(tmp_path, "requests: none\n", "requests: none\n")
    done = run(tmp_path, *arguments, "--jobs", "2", "--", "no-such-command")
    assert done.returncode == 3
    assert done.stderr == "Error: cannot run no-such-command: No such file or directory\n"


@pytest.mark.parametrize(("jobs", "ends"), [("1", 0), ("2", 0), ("2", 1)])
def test_a_stop_keeps_the_verdicts_of_what_has_ended(tmp_path: Path, jobs: str, ends: int) -> None:
    texts = ["requests: none\n"] * 3
    texts[ends] += "client: {image: 'broken/random:layers-1_size-1'}\n"
    script = (
        "import sys, time; print('the client'); time.sleep(0 if sys.argv[1] == 'layers-1_size-1' else 60)"
    )
    files = ("--junit", "j.xml", "--html", "r.html", "--har", "e.har")
    client = ("--", sys.executable, "-c", script, "{tag}")
    process = start(tmp_path, *scenarios(tmp_path, *texts), "--jobs", jobs, *files, *client)
    assert process.stdout is not None
    printed = [process.stdout.readline()]
    while printed[-1] != ("the client\n" if ends else "✓ scenario 0\n"):  # before the end
        printed.append(process.stdout.readline().partition("  ")[0])
        printed[-1] += "" if printed[-1].endswith("\n") else "\n"
        assert printed[-1] != "\n" or process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (3, "Error: stopped by SIGTERM, without a verdict\n")
    assert output.endswith("\n1 of 3 scenarios as expected, 2 without a verdict\n")
    assert f"── scenario {ends} ──\nthe client\n" in "".join(printed)
    assert (f"✓ scenario {ends}" in output) == bool(ends)
    for name in ("j.xml", "r.html"):
        assert f"scenario {ends}" in (tmp_path / name).read_text()
    assert json.loads((tmp_path / "e.har").read_text())["log"]["entries"] == []
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(("options", "status"), [([], 3), (["--timeout", "500ms"], 124)])
def test_all_stop_together(tmp_path: Path, options: list[str], status: int) -> None:
    """By a signal, or out of time."""
    script = "import os, pathlib, time; pathlib.Path(f'here-{os.getpid()}').touch(); time.sleep(60)"
    arguments = [*scenarios(tmp_path, "", ""), "--jobs", "2", *options]
    process = start(tmp_path, *arguments, "--", sys.executable, "-c", script)
    while status == 3 and len(list(tmp_path.glob("here-*"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    if status == 3:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == status
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("0", 'invalid value "0": use a number from 1 to 64'),
        ("65", 'invalid value "65": use a number from 1 to 64'),
        ("x", 'invalid value "x": use a whole number'),
    ],
)
def test_invalid_numbers(number: str, says: str) -> None:
    done = run_here("run", "--jobs", number, "--", "true")
    assert done.returncode == 2
    assert done.stderr.endswith(f"\nError: --jobs: {says}\n")


def test_long_output_says_what_is_omitted(tmp_path: Path) -> None:
    arguments = [*scenarios(tmp_path, "requests: none\n", "requests: none\n"), "--jobs", "2"]
    done = run(tmp_path, *arguments, "--", sys.executable, "-c", "print('x' * (1 << 20), end='yz')")
    assert done.returncode == 0
    assert done.stdout.count("(2 bytes omitted)\nxxx") == 2
    assert done.stdout.count("xyz\n") == 2
