"""The output of a run: the ready line, and each exchange as JSON or as readable text.

A thread writes the lines, because the parent process may never read them, and a full pipe must not stop the
registry.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import queue
import select
import stat
import threading
from pathlib import Path

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

_QUEUE = 10_000
_QUEUE_SIZE = 8 * 1024 * 1024
"""Maximum number and length in characters of the lines that wait to be written."""

_GATHER = 0.02
_LAST_WORDS = 0.3
_FIRST_REPORT = 1.0
_NEXT_REPORT = 60.0
"""Seconds between the first dropped line and the first report, and between two reports."""

_PIPE_BUF = select.PIPE_BUF
"""Number of bytes that a writable pipe accepts without blocking: 4,096 on Linux, 512 on macOS."""

_FILE_PIECE = 256 * 1024
"""Bytes that are written to a file per call. Larger is cheaper: each call releases the interpreter lock."""


class LineWriter:
    """Writes lines to a file descriptor in order. If nobody reads them, it drops lines and logs how many.

    `name` is the name of the descriptor in the log. A Python stream is not used, because a thread that waits
    for a reader would hold the lock of the stream and keep the process from ending.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._pending: list[str] = []
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        is_file = stat.S_ISREG(mode := os.fstat(descriptor).st_mode) or stat.S_ISCHR(mode)
        self._piece = _FILE_PIECE if is_file and not os.isatty(descriptor) else _PIPE_BUF
        self._queued = 0
        self._queued_size = 0
        self._settled_size = 0
        self._written = 0
        self._dropped = 0
        self._failed = 0
        self._reported = 0
        self._problem = ""
        self._is_closed_by_reader = False
        self._next_report: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="brokenreg-output", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line (without line end) without blocking. It is written within about 20 ms."""
        size = self._queued_size + len(line)
        is_full = self._queued - self._written - self._failed >= _QUEUE
        if is_full or size - self._settled_size > _QUEUE_SIZE or self._is_closed_by_reader:
            self._dropped += 1
            self._report_later(_FIRST_REPORT)
            return
        if not self._pending:
            # A thread switch for each line would cost more than writing it.
            self._loop.call_later(_GATHER, self._hand_over)
        self._pending.append(line)
        self._queued += 1
        self._queued_size = size

    def close(self) -> None:
        """Write the waiting lines as long as they are read, and log how many lines were dropped."""
        if self._next_report is not None:
            self._next_report.cancel()
        self._hand_over()
        self._batches.put(None)
        self._thread.join(_LAST_WORDS)
        self._report(self._queued - self._written - self._failed)

    def _hand_over(self) -> None:
        if self._pending:
            self._batches.put(self._pending)
            self._pending = []

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            settled = self._written + self._failed + len(batch)
            try:
                self._write_all("\n".join((*batch, "")).encode())
            except OSError as error:
                self._problem = error.strerror or str(error)
                self._is_closed_by_reader = self._is_closed_by_reader or isinstance(error, BrokenPipeError)
                self._failed += settled - self._written - self._failed
                with contextlib.suppress(RuntimeError):  # the loop has ended, and `close` reports instead
                    self._loop.call_soon_threadsafe(self._report_later, _FIRST_REPORT)
            self._settled_size += sum(map(len, batch))

    def _write_all(self, data: bytes) -> None:
        """Write in pieces that a pipe accepts completely or not at all, to know which lines were written."""
        view, position = memoryview(data), 0
        while position < len(data):
            end = position + os.write(self._descriptor, view[position : position + self._piece])
            self._written += data.count(b"\n", position, end)
            position = end

    def _report_later(self, seconds: float) -> None:
        if self._next_report is None:
            self._next_report = self._loop.call_later(seconds, self._report_and_go_on)

    def _report_and_go_on(self) -> None:
        self._next_report = self._loop.call_later(_NEXT_REPORT, self._report_and_go_on)
        self._report()

    def _report(self, unwritten: int = 0) -> None:
        """Log how many lines were dropped, if there are more than at the last report."""
        dropped = self._dropped + self._failed + unwritten
        if dropped > self._reported:
            why = self._problem or "nobody reads it"
            logger.warning("%s: %s dropped so far: %s", self._name, counted(dropped, "line"), why)
            self._reported = dropped


class ErrorOutput(logging.Handler):
    """Writes log records to a file descriptor without blocking; records are lost if the pipe is full."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. `logging` calls this with the lock held."""
        data = f"{self.format(record)}\n".encode(errors="backslashreplace")
        try:
            while data and select.select([], [self._descriptor], [], 0)[1]:
                data = data[os.write(self._descriptor, data[:_PIPE_BUF]) :]
        except OSError:
            return  # there is nowhere to report the error


def ready_line(
    *, registry: str, control: str | None, data: Path, authority: Path | None, version: str
) -> str:
    """Return the first line of a headless run. `authority` is the CA that clients must trust, if any."""
    ready = {
        "event": "ready",
        "registry": registry,
        "host": registry.partition("://")[2],
        "control": control,
        "data": str(data.absolute()),
        "ca": None if authority is None else str(authority.absolute()),
        "pid": os.getpid(),
        "version": version,
    }
    return json.dumps(ready, separators=(",", ":"))


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, regardless of the umask (an `opener` for `open`)."""
    return os.open(path, flags, 0o600)


def write_ready_file(path: Path, line: str) -> None:
    """Write the ready line to a private file, which never exists half-written. Raise `OSError`."""
    temporary = path.with_name(f"{path.name}.new")
    with open(temporary, "w", opener=private) as file:
        file.write(f"{line}\n")
    temporary.replace(path)


def exchange_line(exchange: Exchange) -> str:
    """Return an exchange as one line of JSON."""
    return f'{{"event":"exchange",{summary_json(exchange)[1:]}'
