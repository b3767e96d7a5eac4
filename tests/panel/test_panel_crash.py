"""An error in the panel in a real terminal: one line, status 1, and held responses are resumed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from tmux import Terminal

LAUNCHER = Path(__file__).with_name("failing_panel.py")
HELD = "/v2/broken/with/hold/broken/random/manifests/layers-1_size-1024"


def test_the_terminal_is_restored_and_held_responses_are_resumed(terminal: Terminal, tmp_path: Path) -> None:
    data, ready_file = tmp_path / "data", tmp_path / "ready.json"
    command = [
        sys.executable, str(LAUNCHER), "tui", "--listen", "127.0.0.1:0", "--control", "off",
        "--data", str(data), "--ready-file", str(ready_file),
    ]  # fmt: skip
    terminal.type(f"{shlex.join(command)}; echo status=$?")
    terminal.wait_for("● LIVE")
    url = json.loads(ready_file.read_text())["registry"]
    with subprocess.Popen(["curl", "-s", f"{url}{HELD}"], stdout=subprocess.PIPE) as client:
        terminal.wait_for("⏸ 1 HELD")
        terminal.tmux("send-keys", "t")
        screen = terminal.wait_for("status=1")
        body, _ = client.communicate(timeout=20)
    assert json.loads(body)["schemaVersion"] == 2, "it was let go, and is whole"
    assert terminal.modes() == "0 0 1"
    said = "".join(screen.split("brokenreg: ", 1)[1].split("status=1")[0].split())
    assert said == f"thepanelfailed;see{data}/diagnostics.log"
    assert "Traceback" not in screen
    assert "hunter2" not in screen
    log = (data / "diagnostics.log").read_text()
    assert (data / "diagnostics.log").stat().st_mode & 0o777 == 0o600
    assert "RuntimeError: an error of ours" in log
    assert "hunter2" not in log
