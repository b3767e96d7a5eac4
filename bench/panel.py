"""Measures the panel in a terminal: what it costs clients, and how fast it reacts to keys under load."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import flood
from bench.peers import ours
from bench.transfers import download, manifest_rate, pull, push, put_manifest

_SIZE = (45, 160)
_SECONDS = 4
_CONNECTIONS = 64
_CLIENTS = 8
_KILLED = 2
_PATIENCE = 60.0
KEYS = ((b"F", b"not following"), (b"F", b"LIVE"))
"""Keys, each with words that are on the screen only after the key."""


@dataclass
class Figures:
    """Requests per second in pairs (without and with a panel), and seconds from a key to the screen."""

    headless: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    transfers: list[float] = field(default_factory=list)
    flooded: list[float] = field(default_factory=list)
    memory: int = 0
    """Memory in bytes with 100,000 exchanges."""


def measure(folder: Path, content: Path, digest: str, rounds: int) -> Figures:
    """Measure manifest GETs with and without a panel, and keys during these and during pulls of blobs."""
    figures = Figures()
    for number in range(rounds):
        for is_watched in (False, True) if number % 2 == 0 else (True, False):
            place = folder / f"{number}-{is_watched}"
            if is_watched:
                with _panel(place) as panel:
                    _watch(panel, content, digest, figures)
            else:
                with ours(place) as own:
                    put_manifest(own.host)
                    figures.headless.append(manifest_rate(own.host, _SECONDS, _CONNECTIONS))
    with in_terminal(["bench.flood", str(folder / "flood")]) as panel:
        for _ in range(20):
            figures.flooded += [panel.press(*key) for key in KEYS]
        figures.memory = panel.resident()
    return figures


def report(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """Yield rows with the results and the goals."""
    ratio = statistics.median(a / b for a, b in zip(figures.watched, figures.headless, strict=True))
    yield f"requests/s with a panel, of those without ({_CONNECTIONS} connections)", f"{ratio:.2f}", "0.80"
    yield "key to screen, nothing else to do, median", _milliseconds(statistics.median(figures.idle)), ""
    heading = f"key to screen, {flood.RATE:,} exchanges/s and {flood.KEPT:,} kept, median"
    yield heading, _milliseconds(statistics.median(figures.flooded)), "100 ms"
    yield "memory then", f"{figures.memory / (1 << 20):.0f} MiB", ""
    heading = f"key to screen, wrk with {_CONNECTIONS} connections, median"
    yield heading, _milliseconds(statistics.median(figures.busy)), "150 ms"
    heading = f"key to screen, {_CLIENTS} clients at full speed and {_KILLED} killed, longest"
    yield heading, _milliseconds(max(figures.transfers)), "250 ms"


class ShownPanel:
    """A running panel, to which keys are sent and whose output is read."""

    host = ""

    def __init__(self, process: int, terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._painted = bytearray()
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def press(self, key: bytes, word: bytes) -> float:
        """Press `key`, and return the seconds until `word` appears."""
        with self._news:
            self._painted.clear()
            began = time.perf_counter()
            os.write(self._terminal, key)
            self.wait_for(word)
            return time.perf_counter() - began

    def wait_for(self, word: bytes) -> None:
        """Wait until a word appears."""
        with self._news:
            if not self._news.wait_for(lambda: word in self._painted, _PATIENCE):
                sys.exit(f"bench: the panel did not show {word.decode()} within {_PATIENCE:.0f} s")

    def resident(self) -> int:
        """Return the resident memory in bytes."""
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def keys_until(self, done: threading.Event) -> list[float]:
        """Press keys one after the other, and measure each."""
        times: list[float] = []
        while not done.is_set():
            times += [self.press(*key) for key in KEYS]
            done.wait(0.05)
        return times

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while painted := os.read(self._terminal, 1 << 16):
                with self._news:
                    self._painted += painted
                    self._news.notify_all()


@contextlib.contextmanager
def _panel(folder: Path) -> Iterator[ShownPanel]:
    ready_file = folder.with_name(f"{folder.name}-ready.json")
    command = ["brokenreg", "tui", "--offline", "--data", str(folder)]
    command += ["--listen", "127.0.0.1:0", "--control", "off", "--ready-file", str(ready_file)]
    with in_terminal(command) as panel:
        panel.host = json.loads(ready_file.read_text())["registry"].partition("://")[2]
        yield panel


@contextlib.contextmanager
def in_terminal(module: list[str], size: tuple[int, int] = _SIZE) -> Iterator[ShownPanel]:
    """Run a panel, and wait for its first screen."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    command = [sys.executable, "-m", *module]
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True, env=environment
    ) as process:
        os.close(inside)
        try:
            panel = ShownPanel(process.pid, terminal)
            panel.wait_for(b"LIVE")
            for key in KEYS:
                panel.press(*key)
            yield panel
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            os.close(terminal)


def _watch(panel: ShownPanel, content: Path, digest: str, figures: Figures) -> None:
    put_manifest(panel.host)
    push(panel.host, content, digest)
    figures.idle += [panel.press(*key) for _ in range(10) for key in KEYS]
    figures.watched.append(manifest_rate(panel.host, _SECONDS, _CONNECTIONS))
    with _meanwhile(panel, figures.busy):
        manifest_rate(panel.host, _SECONDS, _CONNECTIONS)
    with _meanwhile(panel, figures.transfers):
        doomed = [_puller(panel.host, digest) for _ in range(_KILLED)]
        time.sleep(0.2)
        for each in doomed:
            each.kill()
            each.join()
        for _ in range(4):
            pull(panel.host, digest, _CLIENTS)


def _puller(host: str, digest: str) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=download, args=(host, digest))
    process.start()
    return process


@contextlib.contextmanager
def _meanwhile(panel: ShownPanel, times: list[float]) -> Iterator[None]:
    """Press keys during the block."""
    done = threading.Event()
    pressing = threading.Thread(target=lambda: times.extend(panel.keys_until(done)))
    pressing.start()
    try:
        yield
    finally:
        done.set()
        pressing.join()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
