"""The panel in a real terminal: a real pull appears in it, and it leaves the terminal as it was."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import clean_environment


class Terminal:
    """A tmux of its own, 100 columns by 30 lines, with one shell in it."""

    def __init__(self) -> None:
        self._socket = f"brokenreg-{uuid.uuid4().hex[:12]}"
        self.tmux("new-session", "-d", "-x", "100", "-y", "30", "sh")

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=10, env=clean_environment(PS1="$ ")
        ).stdout

    def type(self, line: str) -> None:
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for(self, text: str, lines: int = 1) -> str:
        """Wait until that many lines of the screen match `text` (an expression); it has 20 s."""
        deadline = time.monotonic() + 20
        while len(re.findall(f"(?m)^.*{text}.*$", screen := self.screen())) < lines:
            assert time.monotonic() < deadline, f"no {text!r} in {lines} lines of the screen:\n{screen}"
            time.sleep(0.05)
        return screen

    def modes(self) -> str:
        """Alternate screen, mouse, cursor: `0 0 1` is a terminal at rest."""
        return self.tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    if shutil.which("tmux") is None or shutil.which("skopeo") is None:
        if os.environ.get("BROKENREG_REQUIRE_CLIENTS"):
            pytest.fail("tmux or skopeo is not installed")
        pytest.skip("tmux or skopeo is not installed")
    terminal = Terminal()
    yield terminal
    terminal.tmux("kill-server")


@pytest.fixture
def ready(terminal: Terminal, tmp_path: Path) -> dict[str, object]:
    """A panel in the terminal, ready to be pulled from; its shell says `status=N` when it ends."""
    ready_file = tmp_path / "ready.json"
    command = [
        sys.executable, "-m", "brokenreg", "tui", "--listen", "127.0.0.1:0", "--control", "off",
        "--data", str(tmp_path / "data"), "--ready-file", str(ready_file),
    ]  # fmt: skip
    terminal.type(f"{shlex.join(command)}; echo status=$?")
    terminal.wait_for("● LIVE")
    ready: dict[str, object] = json.loads(ready_file.read_text())
    return ready


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
    screen = terminal.wait_for("✓.* skopeo.* blobs/.* 200 ", lines=3)
    assert "manifests/layers-2_size-64kib" in screen
    assert "client left" not in screen
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
    terminal.tmux("send-keys", "q")
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"


def test_sigterm_restores_the_terminal(terminal: Terminal, ready: dict[str, object]) -> None:
    os.kill(int(str(ready["pid"])), signal.SIGTERM)
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"


def test_a_held_response_is_told_at_the_top_and_does_not_delay_the_end(
    terminal: Terminal, ready: dict[str, object], tmp_path: Path
) -> None:
    with subprocess.Popen(
        ["curl", "-s", f"{ready['registry']}/v2/broken/hold/manifests/latest"], stdout=subprocess.DEVNULL
    ):
        terminal.wait_for("⏸ 1 HELD [0-9]+s")
        began = time.monotonic()
        terminal.tmux("send-keys", "q")
        screen = terminal.wait_for("status=0")
    assert time.monotonic() - began < 5
    assert "Traceback" not in screen
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
    assert terminal.modes() == "0 0 1"


def test_the_end_of_its_terminal_ends_it(
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
