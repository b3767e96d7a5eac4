"""The panel in a real terminal: it shows a real pull, and restores the terminal at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tmux import Terminal


def pull(ready: dict[str, object], target: Path) -> None:
    host = str(ready["registry"]).partition("://")[2]
    source = f"docker://{host}/broken/random:layers-2_size-64kib"
    command = ["skopeo", "copy", "--src-tls-verify=false", "--insecure-policy", source, f"dir:{target}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_real_pull_appears_and_q_quits(
    terminal: Terminal, ready: dict[str, object], tmp_path: Path
) -> None:
    assert terminal.modes().startswith("1 ")
    pull(ready, tmp_path / "image")
    screen = terminal.wait_for("✓.* GET blobs/.* 200 ", lines=3)
    assert "manifests/layers-2_size-64kib" in screen
    assert "disconnected" not in screen
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
    terminal.tmux("send-keys", "q")
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"


def test_ctrl_z_undoes_a_rule_and_does_not_suspend(terminal: Terminal, ready: dict[str, object]) -> None:
    terminal.tmux("send-keys", "!", "Space", "Escape")
    terminal.wait_for("FAULT 404 armed")
    terminal.wait_for(r"\$ brokenreg rules add error status=404 --override")
    terminal.tmux("send-keys", "C-z")
    screen = terminal.wait_for("undone: rules add error status=404 --override; ctrl.y redoes it")
    assert "armed" not in screen
    assert terminal.modes().startswith("1 ")
    terminal.tmux("send-keys", "C-y")
    terminal.wait_for("FAULT 404 armed")
    terminal.tmux("send-keys", "Q")
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"


def test_sigterm_restores_the_terminal(terminal: Terminal, ready: dict[str, object]) -> None:
    os.kill(int(str(ready["pid"])), signal.SIGTERM)
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"


def test_a_held_response_is_shown_at_the_top_and_does_not_delay_the_end(
    terminal: Terminal, ready: dict[str, object], tmp_path: Path
) -> None:
    with subprocess.Popen(
        ["curl", "-s", "--max-time", "60", f"{ready['registry']}/v2/broken/hold/manifests/latest"],
        stdout=subprocess.DEVNULL,
    ):
        terminal.wait_for("⏸ 1 HELD [0-9]+ s")
        terminal.tmux("send-keys", "q")
        terminal.wait_for("1 response is held")
        terminal.tmux("send-keys", "y")
        screen = terminal.wait_for("status=0")
    assert "Traceback" not in screen
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
    assert terminal.modes() == "0 0 1"


def test_closing_the_terminal_ends_the_panel(
    terminal: Terminal, ready: dict[str, object], tmp_path: Path
) -> None:
    terminal.tmux("send-keys", "5")
    terminal.wait_for("INFO +brokenreg .* serves http://127.0.0.1:")
    terminal.tmux("respawn-pane", "-k", "sh")
    deadline = time.monotonic() + 10
    while Path(f"/proc/{ready['pid']}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (tmp_path / "data" / "index.sqlite3-wal").exists(), "it was killed, and did not end by itself"
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
