"""The server of a test session: a process that ends with the session."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from brokenreg.client import Client
from brokenreg.pytest_plugin.registry import TestRegistry

_START = 30.0
_STOP = 10.0
"""Seconds that the server has to start and to stop."""

_PAUSE = 0.01


class RunningServer:
    """A running server, and a new namespace of it for each test."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self._ready = ready
        self._numbers = count(1)

    @contextmanager
    def registry_for_a_test(self) -> Iterator[TestRegistry]:
        """A registry in a namespace of its own, which is reset at the end."""
        namespace = f"test-{next(self._numbers)}"
        with Client(self._ready["control"], namespace=namespace) as client:
            yield TestRegistry(self._ready["host"], client)
            client.reset()


@contextmanager
def running_server(options: Sequence[str]) -> Iterator[RunningServer]:
    """Start `brokenreg serve` on free ports with its own data folder, and stop it at the end.

    Raise `RuntimeError` with what it printed if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="brokenreg-") as folder, tempfile.TemporaryFile() as errors:
        ready_file = Path(folder, "ready.json")
        command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--ready-file", str(ready_file)]
        command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--data", f"{folder}/data"]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            if not _is_ready(process, ready_file):
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise RuntimeError(f"brokenreg did not start (status {process.poll()}): {said}")
            yield RunningServer(json.loads(ready_file.read_text()))
        finally:
            _stop(process)


def _is_ready(process: subprocess.Popen[bytes], ready_file: Path) -> bool:
    """Wait until the server is ready; False if it ends or is not ready in time."""
    deadline = time.monotonic() + _START
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
