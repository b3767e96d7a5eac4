"""Measures attached panels: what they cost, how fast they react to keys, and one that does not read."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.line import line_to
from bench.panel import KEYS, ShownPanel, in_terminal
from bench.peers import ours
from bench.transfers import manifest_rate, put_manifest
from brokenreg.attach.web_socket import WebSocket

_PANELS = 10
_SECONDS = 4
_CONNECTIONS = 64
_PRESSES = 15
_ROUND_TRIP = 0.1
_REQUESTS = 100
_STALLED = 60
_TOKEN = "bench"


@dataclass
class Figures:
    """Requests per second without and with ten panels, and seconds from a key to the screen."""

    headless: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    loopback: list[float] = field(default_factory=list)
    far: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    stalled: list[float] = field(default_factory=list)
    grown: int = 0
    """Bytes by which the server's memory grew during a minute with a terminal that does not read."""


def measure(folder: Path, rounds: int, stalled: int = _STALLED) -> Figures:
    figures = Figures()
    with ours(folder / "own", "--offline", "--control-token", _TOKEN) as own:
        put_manifest(own.host)
        for _ in range(rounds):
            figures.headless.append(manifest_rate(own.host, _SECONDS, _CONNECTIONS))
            with contextlib.ExitStack() as stack:
                for number in range(_PANELS):
                    panel = stack.enter_context(_attached(own.control))
                    if number:  # the others look at something else
                        panel.press(b"2", b"No rules")
                figures.watched.append(manifest_rate(own.host, _SECONDS, _CONNECTIONS))
        with _attached(own.control) as panel:
            figures.loopback += _presses(panel)
        port = int(own.control.rpartition(":")[2])
        with line_to(port, _ROUND_TRIP / 2) as line, _attached(f"127.0.0.1:{line.port}") as panel:
            figures.far += _presses(panel)
    with _flooded(folder / "flooded") as (process, registry, control):
        figures.before = _latencies(registry)
        asyncio.run(_stall(process, registry, control, figures, stalled))
    return figures


def report(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """Yield rows with the results and the goals."""
    ratio = statistics.median(a / b for a, b in zip(figures.watched, figures.headless, strict=True))
    yield f"requests/s with {_PANELS} panels, of those without", f"{ratio:.2f}", "0.50"
    yield "key to screen over loopback, median", _milliseconds(statistics.median(figures.loopback)), "60 ms"
    far = statistics.median(figures.far)
    yield f"the same with a round trip of {_milliseconds(_ROUND_TRIP)}", _milliseconds(far), "250 ms"
    added = _slowest(figures.stalled) - _slowest(figures.before)
    heading = f"99 of {_REQUESTS} requests, longer with a terminal that does not read"
    yield heading, _milliseconds(added), "10 ms"
    yield "memory that this terminal costs", f"{figures.grown / (1 << 20):.1f} MiB", "20 MiB"


def _presses(panel: ShownPanel) -> list[float]:
    return [panel.press(*key) for _ in range(_PRESSES) for key in KEYS]


@contextlib.contextmanager
def _attached(control: str) -> Iterator[ShownPanel]:
    with in_terminal(["brokenreg", "attach", f"http://{control}", "--token", _TOKEN]) as panel:
        yield panel


@contextlib.contextmanager
def _flooded(folder: Path) -> Iterator[tuple[int, str, str]]:
    """A server with 5,000 simulated exchanges per second: its process, and two `host:port`."""
    command = [sys.executable, "-m", "bench.flood", str(folder), "headless"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            hosts = (str(ready[name]).partition("://")[2] for name in ("registry", "control"))
            time.sleep(10)  # until its log is full, and its memory does not grow any more
            yield process.pid, *hosts
        finally:
            process.kill()


async def _stall(process: int, registry: str, control: str, figures: Figures, seconds: int) -> None:
    """Attach a terminal of 200 by 50 that reads the first screens, and then nothing."""
    async with WebSocket.connected(f"http://{control}", "/v1/panel", {}, None) as socket:
        await socket.send_json(type="hello", protocol=1, columns=200, rows=50)
        messages = socket.messages()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            await anext(messages)
        before = _resident(process)
        largest = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(1)
            largest = max(largest, _resident(process))
        figures.grown = largest - before
        figures.stalled = await asyncio.to_thread(_latencies, registry)


def _latencies(registry: str) -> list[float]:
    times = []
    connection = http.client.HTTPConnection(registry)
    for _ in range(_REQUESTS):
        began = time.perf_counter()
        connection.request("GET", "/v2/")
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
        time.sleep(0.02)
    connection.close()
    return times


def _slowest(times: list[float]) -> float:
    """Return the time that 99 of 100 requests take at most."""
    return sorted(times)[-2]


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
