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
from typing import Any

from click.testing import CliRunner

from brokenreg.cli.main import main


@dataclass
class Brokenreg:
    """A running brokenreg."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    data: Path
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.ready["registry"])

    @property
    def host(self) -> str:
        """`127.0.0.1:port`, as image references want it."""
        return self.url.partition("://")[2]

    @property
    def control(self) -> str:
        return str(self.ready["control"])

    def stop(self, number: int = signal.SIGTERM, *, timeout: float = 20) -> int:
        """Send a signal and wait; the exit status. Further output is in `lines`.

        The tests of shutdown measure how long that takes; here it is bounded, on a busy machine too.
        """
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=timeout)
        self.lines += [json.loads(line) for line in output.splitlines()]
        return self.process.returncode

    def resident(self) -> int:
        """Peak resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without what brokenreg and its predecessor would read, or warn of."""
    predecessor = ("BIND_HOST", "BIND_PORT", "BLOB_DIR", "CERT_FILE", "KEY_FILE")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("BROKENREG_", "V2_CATALOG"))
        and not key.lower().endswith("_proxy")
        and key not in predecessor
    }
    return {**kept, **extra}


def run_here(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own would do too, for what serves nothing: it costs no start of Python."""
    kept = clean_environment()
    changed = {**dict.fromkeys(os.environ.keys() - kept.keys()), **environment}
    done = CliRunner().invoke(main, arguments, prog_name="brokenreg", env=changed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def launch(data: Path, *arguments: str, python: str = sys.executable, **environment: str) -> Brokenreg:
    """Start and wait for the ready line. Raise `AssertionError` with standard error if none comes."""
    command = [python, "-m", "brokenreg", "serve", "--headless", "--data", str(data)]
    if "--listen" not in arguments:
        command += ["--listen", "127.0.0.1:0"]
    if "--upstream" not in arguments:  # tests ask nobody but this machine
        command.append("--offline")
    if "--control" not in arguments:
        command += ["--control", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *arguments],
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
    return Brokenreg(process, json.loads(line), data)


@contextmanager
def brokenreg(data: Path, *arguments: str, **environment: str) -> Iterator[Brokenreg]:
    """A brokenreg for the length of a block."""
    running = launch(data, *arguments, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        if running.process.stdout is not None and not running.process.stdout.closed:
            running.process.stdout.close()
        running.process.wait(timeout=10)
