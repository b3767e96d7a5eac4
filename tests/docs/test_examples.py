"""Each example in another language passes, and fails with a client that does not retry, as its page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.programs import need
from tests.docs import pages
from tests.docs.conftest import ShellFor
from tests.docs.pages import ROOT
from tests.docs.running import run_page

PAGES = [name for name in pages.with_commands() if name.startswith("examples/")]

_OFFLINE = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOTELEMETRY": "off"}


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """Go, with a cache that outlasts the tests: it compiles its standard library, which takes 20 seconds."""
    assert pytestconfig.cache is not None
    folder = str(pytestconfig.cache.mkdir("go-build"))
    for name, value in {**_OFFLINE, "CGO_ENABLED": "0", "GOCACHE": folder}.items():
        monkeypatch.setenv(name, value)
    run_go("test", "-c", "-o", os.devnull, ".")


def run_go(*arguments: str) -> str:
    """Run the Go of this environment, and return what it prints."""
    program = Path(sys.executable).parent / "go"
    return run(program, *arguments)


def run(*command: str | Path) -> str:
    folder = ROOT / "examples/go"
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_commands(name: str, shell_for: ShellFor, request: pytest.FixtureRequest) -> None:
    if "/go/" in name:
        request.getfixturevalue("go")
    run_page(name, shell_for)


@dataclass(frozen=True)
class Mutant:
    """An example whose client does something wrong, and what its tests must report."""

    example: str
    command: tuple[str, ...]
    changes: dict[str, str]
    red: tuple[str, ...]
    green: str

    def __str__(self) -> str:
        return self.example


SHELL_ARGUMENTS = ("{registry_url}/v2/{repository}", "{tag}", "{workdir}")

MUTANTS = [
    Mutant(
        "go/pull.go",
        ("go", "test", "-count=1", "-v", "."),
        {'digest != "" && got != digest': 'got == ""', "max(pause, wait)": "max(pause, 0*wait)"},
        ("--- FAIL: TestWaitsForRetryAfter", "retry-after:", "--- FAIL: TestRefusesWrongBytes"),
        "--- PASS: TestRetries",
    ),
    Mutant(
        "node/pull.mjs",
        ("node", "--test", "--test-reporter=spec"),
        {"digest && got !== digest": "false", "error.wait));": "0));"},
        ("✖ waits for Retry-After", "retry-after:", "✖ refuses wrong bytes"),
        "✔ retries",
    ),
    Mutant(
        "pytest/pull.py",
        ("pytest", "-v", "-p", "no:cacheprovider"),
        {"digest and got != digest": "False", "max(wait, ": "max(0, "},
        ("test_waits_for_retry_after FAILED", "retry-after:", "test_refuses_wrong_bytes FAILED"),
        "test_retries PASSED",
    ),
    Mutant(
        "shell/pull.sh",
        ("brokenreg", "run", "--scenario", "wrong-bytes.yaml", "--", "./pull.sh", *SHELL_ARGUMENTS),
        {'!= "$hex" ]': '= "" ]'},
        ("✗ refuses wrong bytes",),
        "✓ wrong bytes: applied",
    ),
]
"""Each client accepts wrong bytes, and (except curl) does not wait for Retry-After."""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_client_that_does_wrong_is_red(
    mutant: Mutant, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    need(*{"node"}.intersection(mutant.command))
    if mutant.command[0] == "go":
        request.getfixturevalue("go")
    file = ROOT / "examples" / mutant.example
    shutil.copytree(file.parent, tmp_path, dirs_exist_ok=True)
    text = file.read_text()
    for old, new in mutant.changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / file.name).write_text(text)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {name: each for name, each in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        mutant.command,
        cwd=tmp_path,
        env={**env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 1, printed
    assert all(each in printed for each in (*mutant.red, mutant.green)), printed


def test_go_is_formatted() -> None:
    """`go test` vets it as well."""
    root = Path(run_go("env", "GOROOT").strip())
    assert run(root / "bin/gofmt", "-l", ".") == ""


def test_each_page_shows_success_and_failure() -> None:
    assert [name.split("/")[1] for name in PAGES] == ["go", "node", "pytest", "shell"]
    for name in PAGES:
        text = (ROOT / name).read_text()
        assert text.count("\n$ ") == 2, name
        assert "\n$ ATTEMPTS=1 " in text, name


@pytest.mark.parametrize("name", PAGES)
def test_pages_and_clients_are_short(name: str) -> None:
    (client,) = [path for path in (ROOT / name).parent.iterdir() if re.fullmatch(r"pull\.\w+", path.name)]
    assert len((ROOT / name).read_text().splitlines()) <= 30
    assert len(client.read_text().splitlines()) <= 90
