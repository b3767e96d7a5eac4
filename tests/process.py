"""A real `brokenreg serve --headless`: on free ports and a folder of its own, stopped by pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from brokenreg.cli.main import main
from tests.server import Brokenreg, clean_environment, serve_command


@dataclass
class BrokenregProcess(Brokenreg):
    """A brokenreg in a process of its own."""

    process: subprocess.Popen[str] = field(kw_only=True)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 20) -> int:
        """Send a signal and wait; the exit status. Further output is in `lines`."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=timeout)
        self.lines += [json.loads(line) for line in output.splitlines()]
        return self.process.returncode

    def resident(self) -> int:
        """Peak resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


def run_here(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own would do too, for what serves nothing: it costs no start of Python."""
    kept = clean_environment()
    changed = {**dict.fromkeys(os.environ.keys() - kept.keys()), **environment}
    done = CliRunner().invoke(main, arguments, prog_name="brokenreg", env=changed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def launch(data: Path, *arguments: str, python: str = sys.executable, **environment: str) -> BrokenregProcess:
    """Start and wait for the ready line. Raise `AssertionError` with standard error if none comes."""
    process = subprocess.Popen(
        [python, "-m", "brokenreg", "serve", *serve_command(data, *arguments)],
        stdout=subprocess.PIPE,
        stderr=None,
        text=True,
        env=clean_environment(**environment),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(timeout=10)
        raise AssertionError(f"brokenreg ended with {process.returncode} before it was ready")
    return BrokenregProcess(json.loads(line), data, process=process)


@contextmanager
def brokenreg_process(data: Path, *arguments: str, **environment: str) -> Iterator[BrokenregProcess]:
    """A brokenreg in a process of its own for the length of a block."""
    running = launch(data, *arguments, **environment)
    try:
        yield running
    finally:
        if running.is_running:
            running.process.kill()
        if running.process.stdout is not None and not running.process.stdout.closed:
            running.process.stdout.close()
        running.process.wait(timeout=10)
