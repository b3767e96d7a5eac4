"""The registry of a run: a process on free ports, with a data folder that is removed at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brokenreg.exam.errors import RunError
from brokenreg.exam.stop_signals import StopSignals

_START = 30.0
_STOP = 5.0
"""Seconds that the server has to start and to stop."""

_PAUSE = 0.005
_MOST_SAID = 10_000
_OURS = ("BROKENREG_URL", "BROKENREG_SCENARIO", "BROKENREG_LOG", "BROKENREG_READY_FILE", "BROKENREG_CONFIG")
"""Variables that are not for the server of a run, or would make it write elsewhere."""


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """Where a registry and its control API are. `authority` is the file of its CA, if it made one."""

    registry_url: str
    control_url: str
    authority: Path | None = None


class RegistryProcess:
    """A server that starts while its owner does something else."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._ready_file = folder / "ready.json"
        self._data = folder / "data"
        self._errors = (folder / "errors").open("w+b")
        command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--data", str(self._data)]
        command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
        command += ["--ready-file", str(self._ready_file), *options]
        environment = {name: value for name, value in os.environ.items() if name not in _OURS}
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # ctrl+c is for the run, which stops the server in an orderly way
        )

    def ready(self, signals: StopSignals) -> RunningRegistry:
        """Wait until it accepts requests. Raise `RunError`."""
        deadline = time.monotonic() + _START
        while not self._ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RunError(f"the registry did not start: {self._said()}")
            signals.wait(_PAUSE)
        ready = json.loads(self._ready_file.read_text())
        authorities = sorted(self._data.glob("tls/**/ca.pem"))
        return RunningRegistry(ready["registry"], ready["control"], next(iter(authorities), None))

    def stop(self) -> None:
        """Stop the server, and wait for its end."""
        self._process.terminate()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read(_MOST_SAID).decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ").removeprefix("brokenreg: ") if lines else "it says nothing"


@contextmanager
def registry_process(options: Sequence[str] = ()) -> Iterator[RegistryProcess]:
    """Start a server, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="brokenreg-run-") as folder:
        process = RegistryProcess(Path(folder), options)
        try:
            yield process
        finally:
            process.stop()
