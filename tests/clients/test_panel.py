"""The panel in a real terminal with a Docker daemon: a rule that a key adds is applied to the next pull."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.private import Client
from tests.clients.programs import need
from tests.panel.tmux import Terminal


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    need("tmux")
    terminal = Terminal()
    yield terminal
    terminal.tmux("kill-server")


@pytest.fixture
def ready(terminal: Terminal, tmp_path: Path) -> dict[str, str]:
    """A panel in the terminal, with a control API."""
    ready_file = tmp_path / "ready.json"
    command = [
        sys.executable, "-m", "brokenreg", "tui", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
        "--data", str(tmp_path / "data"), "--ready-file", str(ready_file), "--offline",
    ]  # fmt: skip
    terminal.type(shlex.join(command))
    terminal.wait_for("● LIVE")
    ready: dict[str, str] = json.loads(ready_file.read_text())
    return ready


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_after_a_pull_the_next_request_for_its_manifest_fails(
    docker: Client, terminal: Terminal, ready: dict[str, str], method: str
) -> None:
    """docker requests HEAD of the tag, then GET of the digest; a rule made of either is applied."""
    host = ready["registry"].partition("://")[2]
    image = f"{host}/broken/random:layers-1_size-1kib_seed-{len(method)}"
    docker("pull", image)
    terminal.tmux("send-keys", "/")
    terminal.wait_for("enter Apply")
    terminal.type(f"ep:manifest method:{method}")
    terminal.wait_for(f"/ ep:manifest method:{method}")
    terminal.tmux("send-keys", "G")
    terminal.tmux("send-keys", "n")
    terminal.wait_for("FAULT 503×1 armed")

    docker("rmi", image)
    docker("pull", image)  # HEAD fails, and it requests GET of the tag instead
    (rule,) = httpx.get(f"{ready['control']}/v1/rules").json()
    assert rule["applied"] == 1
    query = {"filter": "ep:manifest status:503"}
    (applied,) = httpx.get(f"{ready['control']}/v1/exchanges", params=query).json()
    assert (applied["method"], applied["rule"]) == ("HEAD", f"rule {rule['id']}")
    terminal.tmux("send-keys", "5")
    for name in ("registry", "second origin", "control API"):
        assert "Running on" not in terminal.wait_for(f"INFO +the {name} listens on http://127.0.0.1:")
    terminal.tmux("send-keys", "2")
    terminal.wait_for("✓ rule 1 .* 1/[1-3]")
