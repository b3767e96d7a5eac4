"""Starts a registry for a test or a script: a server process on free ports, which ends with its block.

with local_registry(["--offline"]) as registry:
    subprocess.run(["skopeo", "inspect", f"docker://{registry.host}/broken/random:layers-1_size-1024"])
    with Client(registry.control_url) as control:
        print(control.exchanges())
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START = 30.0
"""Default number of seconds that a server has to start."""

_STOP = 5.0
"""Seconds that a server has to stop. It takes at most 2 by itself."""

_OTHERS = frozenset(
    f"BROKENREG_{name}"
    for name in ("SCENARIO", "CONFIG", "LOG", "READY_FILE", "CONTROL_TOKEN", "CONTROL_TLS")
)
"""Variables that are meant for another server: its rules, its files and its token."""

_QUICK = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""The server uses no plugins of pydantic. To look for them takes 10 ms or more."""

_MOMENT = 1.0
"""Seconds between the end of a server's output and that of its process."""

_PIECE = 4096
_MOST_SAID = 10_000


class NotStartedError(Exception):
    """The server did not start; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class LocalRegistry:
    """Where a registry and its control API are."""

    host: str
    """HOST:PORT, as in image references."""

    registry_url: str
    control_url: str
    data: Path
    """Its data folder, which is removed at the end."""

    authority: Path | None
    """The file of the CA that clients must trust, with the option `--tls self-signed`."""

    pid: int


@contextmanager
def local_registry(options: Sequence[str] = (), *, timeout: float = START) -> Iterator[LocalRegistry]:
    """Run `brokenreg serve` with further options during a block. Raise `NotStartedError`.

    It listens on free ports of 127.0.0.1, and has a data folder of its own. The environment variables of
    `brokenreg serve` apply, such as BROKENREG_TLS. If this process is killed, the server stops, too.
    """
    process = ServerProcess(options)
    try:
        yield process.ready(timeout)
    finally:
        process.stop()


@contextmanager
def server_processes(number: int, options: Sequence[str] = ()) -> Iterator[list[ServerProcess]]:
    """Start servers, which are perhaps not ready yet, and stop them all at the end."""
    servers: list[ServerProcess] = []
    try:
        servers += (ServerProcess(options) for _ in range(number))
        yield servers
    finally:
        for each in servers:
            each.terminate()
        for each in servers:
            each.stop()


class ServerProcess:
    """A server that starts while its owner does something else. Call `stop` in any case."""

    def __init__(self, options: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> None:
        """Start it. Raise `OSError`."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._registry: LocalRegistry | None = None
        command = [sys.executable, "-m", "brokenreg", "serve", "--ephemeral"]
        command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *options]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.PIPE,  # its end tells the server that this process has ended
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={name: value for name, value in environment.items() if name not in _OTHERS} | _QUICK,
            start_new_session=True,  # ctrl+c is for this process, which then stops the server in order
        )

    def ready(self, timeout: float = START) -> LocalRegistry:
        """Return where it is as soon as it accepts requests. Raise `NotStartedError`."""
        if self._registry is not None:
            return self._registry
        assert self._process.stdout is not None  # noqa: S101 - a pipe was requested
        line = _first_line(self._process.stdout, time.monotonic() + timeout)
        if not line.endswith(b"\n"):
            raise NotStartedError(f"the registry did not start: {self._reason(timeout)}")
        ready = json.loads(line)
        authority = None if ready["ca"] is None else Path(ready["ca"])
        self._registry = LocalRegistry(
            ready["host"], ready["registry"], ready["control"], Path(ready["data"]), authority, ready["pid"]
        )
        return self._registry

    def terminate(self) -> None:
        """Let the server stop by itself."""
        self._process.terminate()

    def stop(self) -> None:
        """Stop the server and wait for its end; kill it if that takes too long."""
        self.terminate()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for each in (self._process.stdin, self._process.stdout, self._errors):
            if each is not None:
                each.close()
        if self._registry is not None:  # the server has removed it, unless it was killed
            shutil.rmtree(self._registry.data, ignore_errors=True)

    def _reason(self, timeout: float) -> str:
        """Return what a server that is not ready said last."""
        try:
            self._process.wait(_MOMENT)
        except subprocess.TimeoutExpired:
            return f"it is not ready after {timeout:g}s"
        self._errors.seek(0)
        lines = self._errors.read(_MOST_SAID).decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ").removeprefix("brokenreg: ") if lines else "it says nothing"


def _first_line(pipe: IO[bytes], deadline: float) -> bytes:
    """Return the first line; without line end if the pipe ends or the time is up before."""
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while b"\n" not in line and selector.select(max(deadline - time.monotonic(), 0)):
            data = os.read(pipe.fileno(), _PIECE)
            if not data:
                break
            line += data
    return line
