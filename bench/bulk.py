"""Measures pushes and GETs of a large blob with curl, compared with docker-registry.

It measures rates, and the CPU time and memory of the server.

Plain, over HTTP/1.1 with TLS, and over HTTP/2. A push is POST and PUT; what is timed is the PUT, as curl
sends it: with `Expect: 100-continue` over HTTP/1.1. Both registries write to the same disk; what earlier
transfers have left to write is written before each push.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

from bench.peers import Running, make_certificate, ours, peer
from bench.processes import cpu_seconds, forget_peak, peak_memory

OURS, PEER = "brokenreg", "docker-registry"
MEMORY_GOAL = 120
"""Maximum memory in MiB during eight pushes and eight GETs."""

_AT_ONCE = 8
_PLAIN, _TLS, _HTTP2 = "plain", "TLS, HTTP/1.1", "HTTP/2"
_FLAGS = {_PLAIN: "--http1.1", _TLS: "--http1.1", _HTTP2: "--http2"}
_OCTETS = "Content-Type: application/octet-stream"


@dataclass(frozen=True)
class Kind:
    """A kind of transfer, with its goals: the ratio to docker-registry's rate, and the CPU time."""

    what: str
    protocol: str
    goal: float
    clients: int = 1
    cpu_goal: float | None = None
    """Maximum CPU seconds of brokenreg for 1 GiB."""

    @property
    def name(self) -> str:
        return f"{self.what}, {self.protocol}" + (f", {self.clients} clients" if self.clients > 1 else "")


KINDS = (
    Kind("push", _PLAIN, 2.3, cpu_goal=1.7),
    Kind("push", _TLS, 1.6),
    Kind("push", _HTTP2, 1.2),
    Kind("GET", _PLAIN, 0.95),
    Kind("GET", _PLAIN, 0.95, _AT_ONCE),
    Kind("GET", _TLS, 0.85),
    Kind("GET", _HTTP2, 1.0),
)


class Transfer(NamedTuple):
    """A measured transfer: bytes per second, and CPU seconds of the server for 1 GiB."""

    rate: float
    cpu: float


@dataclass
class Results:
    """The transfers of each round by kind and server, and peaks of memory in MiB by protocol and server."""

    transfers: dict[Kind, dict[str, list[Transfer]]]
    memory: dict[str, dict[str, float]]


class Curl:
    """curl as a client of one registry over one protocol."""

    def __init__(self, server: Running, protocol: str, certificate: Path, blob: Path, digest: str) -> None:
        program = shutil.which("curl")
        if program is None:
            sys.exit("bench: curl is not installed; apt-get install curl")
        self.process = server.process
        self._base = f"{'http' if protocol == _PLAIN else 'https'}://{server.host}"
        self._command = [program, "--silent", "--show-error", "--fail", _FLAGS[protocol]]
        self._command += ["--cacert", str(certificate), "--output", "/dev/null"]
        self._blob = blob
        self._digest = digest

    def get(self) -> subprocess.Popen[str]:
        """Start a GET of the blob."""
        return self._start("%{time_total}", f"/v2/bench/blobs/{self._digest}")

    def push(self, repository: str = "bench") -> subprocess.Popen[str]:
        """Start an upload, and start to send the blob."""
        where = _output(self._start("%header{location}", f"/v2/{repository}/blobs/uploads/", "-X", "POST"))
        target = f"{where}{'&' if '?' in where else '?'}digest={self._digest}"
        return self._start("%{time_total}", target, "-H", _OCTETS, "--upload-file", str(self._blob))

    def unlink(self) -> None:
        """Delete the blob, so that the next push transfers it again."""
        _output(self._start("", f"/v2/bench/blobs/{self._digest}", "-X", "DELETE"))

    def timed(self, start: Callable[[], subprocess.Popen[str]], clients: int) -> Transfer:
        """Transfer the blob with that many clients at the same time, and measure it."""
        before = cpu_seconds(self.process)
        took = max(float(_output(each)) for each in [start() for _ in range(clients)])
        size = self._blob.stat().st_size * clients
        return Transfer(size / took, (cpu_seconds(self.process) - before) / size * (1 << 30))

    def _start(self, output: str, target: str, *options: str) -> subprocess.Popen[str]:
        url = urljoin(self._base, target)
        command = [*self._command, "--write-out", output, *options, url]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(
    folder: Path, blob: Path, digest: str, rounds: int, only: Sequence[str], status: Callable[[str], None]
) -> Results:
    """Measure each kind whose name contains one of `only`, alternating between the registries."""
    certificate = make_certificate(folder)
    results = Results({}, {})
    for protocols in ((_PLAIN,), (_TLS, _HTTP2)):
        used = None if _PLAIN in protocols else certificate
        with ExitStack() as stack:
            own = stack.enter_context(ours(folder / "ours", certificate=used))
            other = stack.enter_context(peer(folder / "peer", certificate=used))
            servers = {OURS: Running(own.host, own.process), PEER: other}
            for protocol in protocols:
                clients = {
                    name: Curl(server, protocol, certificate[0], blob, digest)
                    for name, server in servers.items()
                }
                _measure(clients, protocol, rounds, only, status, results)
        for name in ("ours", "peer"):
            shutil.rmtree(folder / name)
    return results


def _measure(
    clients: dict[str, Curl],
    protocol: str,
    rounds: int,
    only: Sequence[str],
    status: Callable[[str], None],
    results: Results,
) -> None:
    for client in clients.values():
        _output(client.push())
    for kind in KINDS:
        if kind.protocol == protocol and _is_chosen(kind.name, only):
            transfers = results.transfers[kind] = {name: [] for name in clients}
            for number in range(rounds):
                status(f"{kind.name}, round {number + 1} of {rounds}")
                for name in list(clients)[:: 1 if number % 2 == 0 else -1]:
                    transfers[name].append(_transfer(clients[name], kind))
    if _is_chosen(f"memory, {protocol}", only):
        status(f"{_AT_ONCE} pushes and {_AT_ONCE} GETs, {protocol}")
        results.memory[protocol] = {name: _memory(client) for name, client in clients.items()}


def _transfer(client: Curl, kind: Kind) -> Transfer:
    if kind.what == "GET":
        return client.timed(client.get, kind.clients)
    client.unlink()
    os.sync()
    return client.timed(client.push, kind.clients)


def _memory(client: Curl) -> float:
    """Return the largest resident memory of the server, in MiB, during eight pushes and eight GETs."""
    os.sync()
    forget_peak(client.process)
    pushes = [client.push(f"bench{number}") for number in range(_AT_ONCE)]
    for each in [*pushes, *(client.get() for _ in range(_AT_ONCE))]:
        _output(each)
    return peak_memory(client.process) / (1 << 20)


def _is_chosen(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _output(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return output


def report(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield rows with the medians of rates and CPU seconds, and the range of the ratios."""
    for kind, transfers in results.transfers.items():
        rates = {name: statistics.median(each.rate for each in its) for name, its in transfers.items()}
        cpu = {name: statistics.median(each.cpu for each in its) for name, its in transfers.items()}
        ratios = _ratios(transfers)
        yield (
            kind.name,
            f"{rates[OURS] / 1e6:,.0f} MB/s",
            f"{rates[PEER] / 1e6:,.0f} MB/s",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{cpu[OURS]:.2f} s",
            f"{cpu[PEER]:.2f} s",
        )
    for protocol, peaks in results.memory.items():
        yield f"memory, {protocol}", f"{peaks[OURS]:,.0f} MiB", f"{peaks[PEER]:,.0f} MiB", "", "", ""


def goals(results: Results) -> Iterator[tuple[str, str, str]]:
    """Yield rows of (goal, measured value, whether the goal is met)."""
    for kind, transfers in results.transfers.items():
        ratio = statistics.median(_ratios(transfers))
        goal = f"{kind.name}: at least {kind.goal:g} times {PEER}'s rate"
        yield goal, f"{ratio:.2f}", _verdict(ratio >= kind.goal)
        if kind.cpu_goal is not None:
            cpu = statistics.median(each.cpu for each in transfers[OURS])
            goal = f"{kind.name}: at most {kind.cpu_goal:g} s of CPU for 1 GiB"
            yield goal, f"{cpu:.2f} s", _verdict(cpu <= kind.cpu_goal)
    for protocol, peaks in results.memory.items():
        clients = f"{_AT_ONCE} pushes and {_AT_ONCE} GETs"
        goal = f"memory, {protocol}, {clients} at the same time: under {MEMORY_GOAL} MiB"
        yield goal, f"{peaks[OURS]:,.0f} MiB", _verdict(peaks[OURS] < MEMORY_GOAL)


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "not met"


def _ratios(transfers: dict[str, list[Transfer]]) -> list[float]:
    return [mine.rate / other.rate for mine, other in zip(transfers[OURS], transfers[PEER], strict=True)]
