"""A real terminal: a separate tmux."""

from __future__ import annotations

import re
import subprocess
import time
import uuid

from tests.server import clean_environment


class Terminal:
    """A separate tmux with a shell."""

    def __init__(self, columns: int = 100, rows: int = 30) -> None:
        self._socket = f"brokenreg-{uuid.uuid4().hex[:12]}"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), "sh")

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=10, env=clean_environment(PS1="$ ")
        ).stdout

    def type(self, line: str) -> None:
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def wait_for(self, text: str, lines: int = 1) -> str:
        """Wait until that many lines of the screen match the regular expression `text`, for at most 20 s."""
        deadline = time.monotonic() + 20
        while len(re.findall(f"(?m)^.*{text}.*$", screen := self.screen())) < lines:
            assert time.monotonic() < deadline, f"no {text!r} in {lines} lines of the screen:\n{screen}"
            time.sleep(0.05)
        return screen

    def modes(self) -> str:
        """Alternate screen, mouse, cursor: `0 0 1` is a terminal at rest."""
        return self.tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def wait_for_rest(self) -> None:
        """Wait until the terminal is as a shell left it, for at most 20 s."""
        deadline = time.monotonic() + 20
        while self.modes() != "0 0 1":
            assert time.monotonic() < deadline, self.modes()
            time.sleep(0.05)
