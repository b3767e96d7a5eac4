"""The imports of a start, which take most of its time; `python -m bench start` measures it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.process import brokenreg_process
from tests.server import clean_environment, serve_command

_NOT_AT_START = {
    "anyio", "cryptography", "flask", "httpcore", "httpx", "jinja2", "jwt", "quart", "rich", "werkzeug",
    "yaml", "textual",
}  # fmt: skip

_AT_READY = """
import os, sys
from brokenreg.late_imports import Late

def report(_):
    print("imported:", *sys.modules, flush=True)
    os._exit(0)

Late.begin = report
from brokenreg.cli.main import main
main()
"""


def modules_of(code: str, *arguments: str) -> set[str]:
    """Return the imported modules that a program prints in its last line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment())
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_no_heavy_library() -> None:
    code = "import sys, brokenreg.cli.main; print(*sys.modules)"
    heavy = _NOT_AT_START | {"asyncio", "hypercorn", "pydantic", "ssl"}
    assert modules_of(code) & heavy == set()


@pytest.mark.parametrize("arguments", [(), ("--upstream", "quay.io=https://127.0.0.1:1")])
def test_the_ready_line_does_not_wait_for_what_some_requests_need(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    imported = modules_of(_AT_READY, "serve", *serve_command(tmp_path, *arguments))
    assert "brokenreg.registry.endpoints" in imported
    assert imported & (_NOT_AT_START) == set()


def test_requests_wait_for_what_is_imported_later(tmp_path: Path) -> None:
    """The first requests arrive before Quart, the control API and the upstream client are imported."""
    with brokenreg_process(tmp_path, "--upstream", "quay.io=http://127.0.0.1:1") as running:
        pulled = httpx.get(f"{running.url}/v2/quay.io/a/b/manifests/v1")
        token = httpx.get(f"{running.url}/token")
        status = httpx.get(f"{running.control}/v1/status")
        image = httpx.get(f"{running.url}/v2/broken/random/manifests/layers-1_size-1024")
    assert (pulled.status_code, token.status_code, status.status_code) == (502, 200, 200)
    assert json.loads(image.content)["layers"][0]["size"] > 1024
