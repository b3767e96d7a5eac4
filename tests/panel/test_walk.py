"""A walk through the panel in a real terminal with a real client: hold, step, resume, cut, override."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tmux import Terminal

SLOW = "broken/with/throttle_rate-64kib/broken/random:layers-1_size-512kib"
"""Eight seconds for its layer: time to press a key."""


@contextmanager
def copying(ready: dict[str, object], image: str, target: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A client at work; it does not outlive the block."""
    host = str(ready["registry"]).partition("://")[2]
    source = f"docker://{host}/{image}"
    command = ["skopeo", "copy", "--src-tls-verify=false", "--insecure-policy", source, f"dir:{target}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        try:
            yield client
        finally:
            client.kill()


def hold(terminal: Terminal) -> None:
    """Hold the layer that is on its way, by keys."""
    terminal.wait_for("1 in flight")
    terminal.wait_for("▸ .*GET blobs/.* 200 ")
    terminal.tmux("send-keys", "G")
    terminal.tmux("send-keys", "p")
    terminal.wait_for("⏸ 1 HELD [0-9]+ s")


def test_with_keys_only(terminal: Terminal, ready: dict[str, object], tmp_path: Path) -> None:
    with copying(ready, SLOW, tmp_path / "released") as client:
        hold(terminal)
        terminal.wait_for("⏸ 1 HELD [3-9] s")
        assert client.poll() is None, "the client stands"
        came = re.search(r"at ([0-9,]+) B by hand", terminal.screen())
        assert came is not None
        terminal.tmux("send-keys", "s")
        terminal.wait_for(f"at {int(came[1].replace(',', '')) + 65_536:,} B by hand")
        terminal.tmux("send-keys", "a")
        assert client.wait(30) == 0
    terminal.wait_for("PULL .* ✓ +514K .* 2/2 blobs")
    terminal.wait_for("0 in flight")

    with copying(ready, SLOW.replace("512kib", "448kib"), tmp_path / "cut") as client:
        hold(terminal)
        terminal.tmux("send-keys", "X")
        assert client.wait(30) != 0
    terminal.wait_for("✗ .*GET blobs/")

    terminal.tmux("send-keys", "!")
    terminal.wait_for("Overrides: apply faults to every request")
    terminal.tmux("send-keys", "Space")
    terminal.tmux("send-keys", "Escape")
    terminal.wait_for("FAULT .* armed")
    with copying(ready, "broken/random:layers-1_size-64kib", tmp_path / "overridden") as client:
        assert client.wait(30) != 0

    terminal.tmux("send-keys", "5")
    screen = terminal.wait_for("INFO +the registry listens on http://127.0.0.1:")
    assert "the second origin listens on http://127.0.0.1:" in screen
    assert "Running on" not in screen
    terminal.tmux("send-keys", "q")
    terminal.wait_for("1 rule added or edited here is not saved")
    terminal.tmux("send-keys", "y")
    terminal.wait_for("status=0")
    assert terminal.modes() == "0 0 1"
    assert (tmp_path / "data" / "diagnostics.log").read_text() == ""
