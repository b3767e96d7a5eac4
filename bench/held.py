"""Measures 10,000 held responses: memory, the latency of other requests, and the time to resume them."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HELD = "/v2/broken/random/manifests/layers-1_size-10"
_OTHER = "/v2/broken/random/manifests/layers-1_size-11"
_ASKED = 500
_AT_ONCE = 500
"""Number of connections that are opened between two checks of how many are held."""

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Holding:
    """The results for held responses.

    `memory` is in bytes per held response. `slower` is the median latency of other requests, as a multiple of
    that without held responses. `release` is the number of seconds until all responses were complete. `whole`
    is the number of responses with the right content.
    """

    count: int
    memory: float
    slower: float
    release: float
    whole: int


def measure(host: str, control: str, process: int, count: int) -> Holding:
    """Hold that many responses of the registry at `host`, then resume them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    expected = _get(host, _HELD)
    _get(host, _OTHER)
    rule = {"fault": {"type": "hold"}, "match": {"endpoint": "manifest", "reference": "layers-1_size-10"}}
    alone = _latency(host)
    memory = _resident(process)
    with contextlib.ExitStack() as stack:
        _post(control, "/v1/rules", rule)
        connections = [stack.enter_context(each) for each in _open(host, control, count)]
        memory = _resident(process) - memory
        slower = _latency(host) / alone
        began = time.perf_counter()
        _post(control, "/v1/resume", {})
        whole = _read_all(connections, expected)
        release = time.perf_counter() - began
    return Holding(count, memory / count, slower, release, whole)


def report(holding: Holding) -> Iterator[tuple[str, str]]:
    """Yield rows of (what, value)."""
    yield "held responses", f"{holding.count:,}"
    yield "memory of each", f"{holding.memory / 1024:.1f} KiB"
    yield "other requests, median, times without", f"{holding.slower:.2f}"
    yield "all released after", f"{holding.release:.1f} s"
    yield "of them whole", f"{holding.whole:,}"


def _open(host: str, control: str, count: int) -> list[socket.socket]:
    name, port = host.rsplit(":", 1)
    request = f"GET {_HELD} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    connections = []
    deadline = time.monotonic() + _PATIENCE
    for number in range(1, count + 1):
        connection = socket.create_connection((name, int(port)), timeout=10)
        connection.sendall(request)
        connections.append(connection)
        while number % _AT_ONCE == 0 or number == count:
            if json.loads(_get(control, "/v1/status"))["held"] >= number:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"fewer than {number} responses are held")
            time.sleep(0.01)
    return connections


def _read_all(connections: list[socket.socket], expected: bytes) -> int:
    """Read every response to its end, and return how many had the expected content."""
    received = {connection: bytearray() for connection in connections}
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_PATIENCE):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                data = connection.recv(65536)
                received[connection] += data
                if not data:
                    selector.unregister(connection)
    return sum(bytes(data).partition(b"\r\n\r\n")[2] == expected for data in received.values())


def _latency(host: str) -> float:
    """Return the median duration of a request that is not held, in seconds."""
    connection = http.client.HTTPConnection(host)
    times = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        connection.request("GET", _OTHER)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times)


def _get(host: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


def _post(control: str, path: str, document: object) -> None:
    connection = http.client.HTTPConnection(control, timeout=60)
    connection.request("POST", path, json.dumps(document))
    response = connection.getresponse()
    if response.status >= 400:
        raise RuntimeError(response.read().decode())
    connection.close()


def _resident(process: int) -> int:
    """Return the resident memory of the process in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024
