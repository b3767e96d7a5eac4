"""A long load of clients that are killed and stall, most over HTTP/2: what brokenreg holds after each minute.

One registry has TLS, another is plain. Every minute the load pauses until nothing is in flight, and until a
quiet process has returned its freed memory. What it holds then must be what it held after five minutes.
Before that, caches fill. The log is full (10,000 exchanges) before the first minute, and more was done at the
same time than later, so that pools have started their threads.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import ours
from bench.processes import cpu_seconds, forget_peak, peak_memory
from bench.soak_clients import Client
from bench.soak_curl import Target, make_content

SETTLED = 5
"""The minute with which the last one is compared."""

MEMORY_TOLERANCE = 1.05
"""Resident memory also depends on how the allocator packs what is kept, and on which of the large exchanges
are in the log: it varies by a few percent in both directions. A leak of 1 KiB per request would exceed it."""

THREAD_TOLERANCE = 2
"""A pool starts a thread when all others are busy, and keeps it: more at the same time mean more threads."""

_CLIENTS = {"HTTP/2, TLS": 3, "plain": 2}
_PAUSE = 0.25
"""Seconds between two pieces of work of a client, so that all of it needs about one core."""

_LOG = 10_000
_QUIET = 2.0
"""Seconds in which everything must be released once the clients are done."""

_REST = 2.5
"""Seconds after which a process has noticed that it is quiet, and has tidied up."""

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds while nothing is under way, after that minute; memory in MiB."""

    minute: float
    exchanges: int
    descriptors: int
    threads: int
    in_flight: int
    connections: int
    log: float
    """MiB of the log of exchanges, as the process counts it."""

    memory: float
    peak: float
    """The largest memory in the minute before."""

    cpu: float
    """Seconds of CPU in the minute before."""


@dataclass
class Soak:
    """The load of one registry, and what the registry held."""

    name: str
    target: Target
    minutes: list[Held] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._clients = [Client(self.target, number) for number in range(_CLIENTS[self.name])]
        self._cpu = 0.0

    def prepare(self) -> None:
        """Push what is pulled, fill the log, and do each piece of work once, all at the same time."""
        self._clients[0].prepare()
        while self.target.control("GET", "/v1/status")["exchanges"] < _LOG:
            self._clients[0].request_much()
        threads = [
            threading.Thread(target=self._do, args=(Client(self.target, number), name))
            for number, name in enumerate(self._clients[0].works, len(self._clients))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def load(self, until: float) -> list[threading.Thread]:
        """Start the clients, which work until that time."""
        threads = [threading.Thread(target=self._work, args=(client, until)) for client in self._clients]
        for thread in threads:
            thread.start()
        return threads

    def _work(self, client: Client, until: float) -> None:
        while time.monotonic() < until:
            self._do(client, client.choose())
            time.sleep(_PAUSE)

    def _do(self, client: Client, name: str) -> None:
        """Have a client do a piece of work."""
        try:
            client.works[name]()
        except Exception as error:  # noqa: BLE001 -- counted and reported, and the load goes on
            self.failed[f"{name}: {type(error).__name__} {error}"[:150]] += 1
        else:
            self.done[name] += 1

    def look(self, minute: float) -> Held:
        """Note what the process holds once nothing is in flight, or after two seconds."""
        own = self.target.own
        deadline = time.monotonic() + _QUIET
        while True:
            status = self.target.control("GET", "/v1/status")
            if not (status["in_flight"] or status["connections"]) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        time.sleep(_REST)
        process = Path(f"/proc/{own.process}")
        resident = int((process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024
        cpu = cpu_seconds(own.process)
        held = Held(
            minute,
            status["exchanges"],
            len(list((process / "fd").iterdir())),
            len(list((process / "task").iterdir())),
            status["in_flight"],
            status["connections"],
            status["log_size"] / (1 << 20),
            resident,
            peak_memory(own.process) / (1 << 20),
            cpu - self._cpu,
        )
        self._cpu = cpu
        forget_peak(own.process)
        self.minutes.append(held)
        return held


def measure(folder: Path, minutes: float, note: Callable[[str], None]) -> list[Soak]:
    """Load two registries for that time; `note` is called with a line about each after each minute."""
    content, digest = make_content(folder)
    with contextlib.ExitStack() as stack:
        secure = stack.enter_context(ours(folder / "tls", "--offline", "--tls", "self-signed"))
        plain = stack.enter_context(ours(folder / "plain", "--offline"))
        ca = folder / "tls" / "tls" / "ca.pem"
        soaks = [
            Soak("HTTP/2, TLS", Target(secure, ca, content, digest)),
            Soak("plain", Target(plain, None, content, digest)),
        ]
        for soak in soaks:
            soak.prepare()
            soak.look(0)
        began = time.monotonic()
        minute = 0.0
        while minute < minutes:
            minute = min(minute + 1, minutes)
            threads = [thread for soak in soaks for thread in soak.load(began + minute * _MINUTE)]
            for thread in threads:
                thread.join()
            for soak in soaks:
                note(_line(soak.name, soak.look(minute)))
            note(f"{minute:4.1f} min  clients      CPU so far {_cpu_of_clients():.0f} s")
    return soaks


def report(soaks: list[Soak]) -> Iterator[tuple[str, ...]]:
    """Rows of (what, a registry, after five minutes, at the end, whether it is where it was)."""
    exact = ("descriptors", 0), ("threads", THREAD_TOLERANCE)
    for soak in soaks:
        settled, last = _settled(soak), soak.minutes[-1]
        memory = statistics.median(each.memory for each in soak.minutes[-3:])
        before = statistics.median(each.memory for each in _around(soak))
        for name, most in exact:
            first, second = getattr(settled, name), getattr(last, name)
            yield name, soak.name, f"{first}", f"{second}", _verdict(second <= first + most)
        for name in ("in_flight", "connections"):
            first, second = getattr(settled, name), getattr(last, name)
            yield name.replace("_", " "), soak.name, f"{first}", f"{second}", _verdict(not second)
        met = _verdict(memory <= before * MEMORY_TOLERANCE)
        yield "memory, median of 3", soak.name, f"{before:.1f} MiB", f"{memory:.1f} MiB", met
        peaks = f"{settled.peak:.1f} MiB", f"{last.peak:.1f} MiB"
        yield "log", soak.name, f"{settled.log:.1f} MiB", f"{last.log:.1f} MiB", ""
        yield "peak of memory in a minute", soak.name, *peaks, ""
        yield "exchanges ever", soak.name, f"{settled.exchanges:,}", f"{last.exchanges:,}", ""


def works(soaks: list[Soak]) -> Iterator[tuple[str, ...]]:
    """Rows of (a piece of work, how often it was done with each registry), then failures."""
    for name in sorted(soaks[0].done):
        yield name, *(f"{soak.done[name]:,}" for soak in soaks)
    for failure in sorted({each for soak in soaks for each in soak.failed}):
        yield f"FAILED: {failure}", *(f"{soak.failed[failure]:,}" for soak in soaks)


def _settled(soak: Soak) -> Held:
    """What was held after five minutes; of a shorter soak, in the middle."""
    return _around(soak)[1]


def _around(soak: Soak) -> list[Held]:
    """What was held after the minute in question, the one before and the one after."""
    place = min(SETTLED, len(soak.minutes) // 2)
    return soak.minutes[max(place - 1, 0) : place + 2]


def _line(name: str, held: Held) -> str:
    return (
        f"{held.minute:4.1f} min  {name:11}  {held.exchanges:9,} exchanges  {held.descriptors:3} descriptors"
        f"  {held.threads:3} threads  {held.in_flight} in flight  {held.connections} connections"
        f"  {held.memory:6.1f} MiB (peak {held.peak:5.1f}, log {held.log:4.1f})  CPU {held.cpu:4.1f} s"
    )


def _cpu_of_clients() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _verdict(is_met: bool) -> str:
    return "as before" if is_met else "MORE"
