"""The panel in a real terminal with a Docker daemon: a rule that a key adds is applied to the next pull."""

from __future__ import annotations

from collections.abc import Iterator

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
