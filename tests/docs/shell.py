"""A shell that runs the commands of one page, each with a deadline, and ends all that they started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

DEADLINE = 20.0
"""Seconds that a command may take, and that one in the background may take until it is ready."""

_QUIET = 2.0
"""Seconds after which the next command follows one in the background of which nothing is expected."""

_MOST_OUTPUT = 1 << 20


class CommandError(Exception):
    """A command that did not end, or ended the shell; the message has what it printed."""


class Shell:
    """Bash, with the environment and the folder of a page.

    Its commands are in a process group of their own. What each prints goes to a file, so that commands in the
    background do not mix with others.
    """

    def __init__(self, prefix: Sequence[str], env: Mapping[str, str], home: Path, files: Path) -> None:
        self._files = files
        self._home = home
        self._count = 0
        self._statuses, status = os.pipe()
        self._process = subprocess.Popen(
            [*prefix, "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**env, "BRK_STATUS_FD": str(status)},
            cwd=home,
            pass_fds=(status,),
            start_new_session=True,
            text=True,
        )
        os.close(status)
        self._ask(
            f"exec 19>&{status} {status}>&-; unset BRK_STATUS_FD; brk_status=0; echo 0 >&19", "bash", DEADLINE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(CommandError):
            self.stop_all()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        os.close(self._statuses)

    def run(self, command: str) -> tuple[str, int]:
        """Run to the end; what it printed, and its status. Raise `CommandError`."""
        printed = self._start(command, DEADLINE)
        return self._read(printed), self._status

    def background(self, command: str, is_ready: Callable[[str], bool], *, must: bool = True) -> str:
        """Start a command that ends in `&`; what it printed until it was ready, or the deadline passed."""
        printed = self._start(command, DEADLINE)
        until = time.monotonic() + (DEADLINE if must else _QUIET)
        while not is_ready(self._read(printed)) and time.monotonic() < until:
            if must and not self._runs():
                break
            time.sleep(0.02)
        return self._read(printed)

    def stop_all(self) -> None:
        """End what runs in the background, and wait for it."""
        self._start('brk_jobs=$(jobs -p); [ -z "$brk_jobs" ] || kill $brk_jobs 2>/dev/null; wait', DEADLINE)

    def _runs(self) -> bool:
        text, _ = self.run("jobs -r")
        return bool(text.strip())

    def _start(self, command: str, deadline: float) -> Path:
        self._count += 1
        script, printed = (self._files / f"{self._count}.{kind}" for kind in ("sh", "out"))
        script.write_text(f"{command}\n")
        printed.touch()
        # `$?` of the first command is the status of the one before, as in a terminal.
        order = f"{{ (exit $brk_status); . '{script}'; }} >'{printed}' 2>&1 </dev/null 19>&-"
        try:
            self._status = self._ask(f"{order}; brk_status=$?; echo $brk_status >&19", command, deadline)
        except CommandError as error:
            raise CommandError(f"{error}; it printed:\n{self._read(printed)}") from None
        return printed

    def _ask(self, order: str, command: str, deadline: float) -> int:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{order}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise CommandError(f"the shell has ended before {command!r}") from None
        status = b""
        until = time.monotonic() + deadline
        while not status.endswith(b"\n"):
            if not select.select([self._statuses], [], [], max(0, until - time.monotonic()))[0]:
                raise CommandError(f"{command!r} has not ended after {deadline:.0f} s")
            read = os.read(self._statuses, 16)
            if not read:
                raise CommandError(f"{command!r} ended the shell")
            status += read
        return int(status)

    def _read(self, printed: Path) -> str:
        with printed.open(errors="replace") as file:
            return file.read(_MOST_OUTPUT).replace(str(self._home), "/home/you")
