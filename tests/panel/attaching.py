"""Terminals that are attached to a brokenreg in a process of its own."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from tmux import Terminal


@contextlib.contextmanager
def attached(url: str, *options: str, size: tuple[int, int] = (100, 30), folder: Path) -> Iterator[Terminal]:
    """A terminal with a panel of the brokenreg whose control API is at `url`."""
    with terminal_of(size) as terminal:
        attach(terminal, url, *options, folder=folder)
        terminal.wait_for("● LIVE")
        yield terminal


@contextlib.contextmanager
def terminal_of(size: tuple[int, int]) -> Iterator[Terminal]:
    terminal = Terminal(*size)
    try:
        yield terminal
    finally:
        terminal.tmux("kill-server")


def attach(terminal: Terminal, url: str, *options: str, folder: Path) -> None:
    """Run `brokenreg attach` in a folder. Its pid is in `pid`, and the shell prints `status=N` at the end."""
    command = shlex.join([sys.executable, "-m", "brokenreg", "attach", url, *options])
    inside = f"cd {shlex.quote(str(folder))} && echo $$ > pid && exec {command}"
    terminal.type(f"sh -c {shlex.quote(inside)}; echo status=$?")


def pid(folder: Path) -> int:
    """The process of the client that was attached in that folder."""
    return int((folder / "pid").read_text())
