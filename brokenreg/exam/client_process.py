"""Runs the client: a process group that ends with the run, and whose output is passed on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from brokenreg.exam.errors import RunError
from brokenreg.exam.stop_signals import StopSignals

KEPT = 1 << 20
"""Number of bytes of the output that are kept: the last ones."""

_PAUSE = 0.01
_GRACE = 1.0
"""Seconds that a process group has between SIGTERM and SIGKILL."""

_LAST_OUTPUT = 1.0
"""Seconds in which the rest of the output must come once the client has ended."""


@dataclass(frozen=True, slots=True)
class ClientResult:
    """How a client ended. `status` is None if the time was up; it is negative for a signal, as in Python."""

    status: int | None
    duration: float
    output: str
    dropped: int
    """Number of bytes at the beginning of the output that were not kept."""


def run_client(
    command: Sequence[str], environment: Mapping[str, str], timeout: float, signals: StopSignals
) -> ClientResult:
    """Run the command to its end, or until the time is up. Raise `RunError`."""
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is what the user wants to run
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"cannot run {command[0]}: {reason}") from None
    assert process.stdout is not None  # noqa: S101 - a pipe was requested
    output = _Output(process.stdout)
    try:
        status = process.poll()
        while status is None and time.monotonic() < started + timeout:
            signals.wait(_PAUSE)
            status = process.poll()
        duration = time.monotonic() - started
    finally:
        _end(process)
        output.finish()
    return ClientResult(status, duration, output.text(), output.dropped)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: with SIGTERM and some time, unless its leader has ended already."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses it for a zombie
        os.killpg(process.pid, number)


class _Output:
    """Passes the output of a process on to standard output, and keeps its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.dropped = 0
        self._pipe = pipe
        self._kept = bytearray()
        self._is_finished = False
        self._thread = threading.Thread(target=self._read, name="output of the client", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait a moment for the rest. A process that left the group may keep the pipe open."""
        self._thread.join(_LAST_OUTPUT)
        self._is_finished = True
        if not self._thread.is_alive():
            self._pipe.close()

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")

    def _read(self) -> None:
        while data := os.read(self._pipe.fileno(), 1 << 16):
            if self._is_finished:
                return
            self._kept += data
            if (excess := len(self._kept) - KEPT) > 0:
                del self._kept[:excess]
                self.dropped += excess
            _pass_on(data)


def _pass_on(data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads our output any more: the run goes on
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
