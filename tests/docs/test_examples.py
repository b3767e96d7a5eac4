"""Each example in another language passes, and fails with a client that does not retry, as its page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
