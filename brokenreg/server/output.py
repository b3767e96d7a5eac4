"""What a run prints: the ready line, and each exchange as JSON or for people.

Lines are written by a thread. Whoever started us may never read our output, and a full pipe must not stop
the registry.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import threading
import time
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from brokenreg.oci.printable import printable
from brokenreg.oci.sizes import format_size
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange, Origin

logger = logging.getLogger(__name__)

_QUEUE = 10_000
_GATHER = 0.02
_LAST_WORDS = 0.3


class LineWriter:
    """Writes lines to a file descriptor in order; drops lines, and says how many, if nobody reads.

    Not to a Python stream: its lock, held by a thread that waits for a reader, would keep us from ending.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._pending: list[str] = []
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._queued = 0
        self._written = 0
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="brokenreg-output", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line (without its end). Never blocks; the line is out within some 20 ms."""
        if self._queued - self._written >= _QUEUE:
            self._dropped += 1
            return
        if not self._pending:
            # Handing over line by line would cost more than writing: a thread switch each.
            self._loop.call_later(_GATHER, self._hand_over)
        self._pending.append(line)
        self._queued += 1

    def close(self) -> None:
        """Write what waits, for as long as somebody reads it."""
        self._hand_over()
        self._batches.put(None)
        self._thread.join(_LAST_WORDS)
        if self._dropped:
            logger.warning("%d lines of output were dropped: nobody read them", self._dropped)

    def _hand_over(self) -> None:
        if self._pending:
            self._batches.put(self._pending)
            self._pending = []

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                _write_all(self._descriptor, _encoded(batch))
            except OSError:
                return  # the reader has closed its end; the registry goes on
            self._written += len(batch)


def _encoded(batch: list[str]) -> bytes:
    """A line that is not Unicode (a lone surrogate) does not end the thread that writes the others."""
    return "".join(f"{line}\n" for line in batch).encode("utf-8", "backslashreplace")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def ready_line(*, registry: str, control: str | None, version: str) -> str:
    """The first line of a headless run."""
    ready = {
        "event": "ready",
        "registry": registry,
        "control": control,
        "pid": os.getpid(),
        "version": version,
    }
    return json.dumps(ready, separators=(",", ":"))


def private(path: str, flags: int) -> int:
    """An `opener` for files that only their owner may read, whatever the umask."""
    return os.open(path, flags, 0o600)


def write_ready_file(path: Path, line: str) -> None:
    """Write the ready line to a private file that is never seen half-written. Raise `OSError`."""
    temporary = path.with_name(f"{path.name}.new")
    with open(temporary, "w", opener=private) as file:
        file.write(f"{line}\n")
    temporary.replace(path)


def exchange_line(exchange: Exchange) -> str:
    """One exchange as one line of JSON."""
    event: dict[str, Any] = {"event": "exchange", **exchange.summary()}
    return json.dumps(event, separators=(",", ":"))


class ReadableLog:
    """One exchange as one line for people, coloured where the terminal wants colour."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def line(self, exchange: Exchange) -> str:
        status = exchange.status or "---"
        text = Text()
        text.append(time.strftime("%H:%M:%S", time.localtime(exchange.started)), style="dim")
        text.append(
            f" {'✗' if exchange.has_failed else '✓'} {status} ",
            _style(exchange),
        )
        text.append(
            f"{printable(exchange.method) or 'CONNECT'} {printable(exchange.path or exchange.client)}"
        )
        if exchange.query:
            text.append(f"?{printable(exchange.query)}", style="dim")
        text.append(f"  {format_size(exchange.response_bytes or exchange.request_bytes)}")
        text.append(f"  {1000 * (exchange.duration or 0):.0f} ms", style="dim")
        text.append(f"  {printable(exchange.user_agent.partition(' ')[0])}", style="dim")
        if exchange.origin is Origin.SECOND:
            text.append("  second origin", style="magenta")
        if exchange.cache is not None:
            text.append(f"  {exchange.cache}", style="cyan")
        if exchange.endpoint is Endpoint.CONNECT:
            text.append("".join(f"  {what}" for what, _ in exchange.timeline if what != "end"), style="dim")
        elif exchange.fault:
            text.append(f"  fault {exchange.fault}", style="yellow")
        if exchange.ended is not Ended.COMPLETE:
            text.append(f"  {exchange.ended}", style="yellow")
        with self._console.capture() as captured:
            self._console.print(text, end="")
        return captured.get()


def _style(exchange: Exchange) -> str:
    if exchange.status is None or exchange.status >= 500:
        return "bold yellow"
    return "yellow" if exchange.has_failed else "blue"
