"""Measures a blob of an upstream that clients of three replicas pull at the same time."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.objects import seaweedfs
from bench.peers import Ours, ours
from bench.postgresql import running_server
from bench.transfers import BUFFER, connect, make_content, push

CLIENTS = 20
COLUMNS = ("where the blob is downloaded", "at the other replicas")

_SETTLING = 5.0
"""Seconds after the start of the replicas, until they have loaded all libraries."""


@dataclass(frozen=True)
class Pull:
    """What one client has measured: the seconds until the first byte of the body, and until the last."""

    replica: int
    first: float
    whole: float
    size: int


@dataclass(frozen=True)
class Round:
    """One blob that was cold, and pulled by all clients. `holder` is the replica that has downloaded it."""

    pulls: list[Pull]
    requests: int
    holder: int


def measure(folder: Path, size: int, rounds: int, note: Callable[[str], None]) -> list[Round]:
    """Pull a new blob of `size` bytes in each round."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(seaweedfs(folder / "seaweedfs"))
        database = stack.enter_context(running_server()).create_database("bench")
        upstream = stack.enter_context(ours(folder / "upstream", "--offline"))
        options = ["--upstream", f"quay.io=http://{upstream.host}", "--blobs", "s3://ours/prefix"]
        options += ["--database", database, "--fleet-key", "the key of this measurement"]
        replicas = [stack.enter_context(ours(folder / name, *options)) for name in "abc"]
        time.sleep(_SETTLING)
        measured = []
        for number in range(rounds):
            note(f"round {number + 1}")
            digest = make_content(folder / "content", size)
            push(upstream.host, folder / "content", digest)
            pulls = _pull_all(replicas, digest)
            if {each.size for each in pulls} != {size}:
                sys.exit("bench: a client got a blob of another size")
            measured.append(Round(pulls, _requests(upstream, digest), _holder(replicas, digest)))
        return measured


def report(measured: list[Round]) -> Iterable[tuple[str, str, str]]:
    """Yield the medians: for clients of the replica that downloads, and for those of the others."""
    requests = statistics.mean(each.requests for each in measured)
    yield "requests to the upstream", f"{requests:.1f}", ""
    for name, value in (("first byte", lambda pull: pull.first), ("whole blob", lambda pull: pull.whole)):
        here, elsewhere = (f"{statistics.median(map(value, each)):.2f} s" for each in _apart(measured))
        yield name, here, elsewhere


def _apart(measured: list[Round]) -> Iterator[list[Pull]]:
    for is_holder in (True, False):
        yield [pull for each in measured for pull in each.pulls if (pull.replica == each.holder) == is_holder]


def _pull_all(replicas: list[Ours], digest: str) -> list[Pull]:
    places = [each % len(replicas) for each in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(lambda place: _pull(place, replicas[place], digest), places))


def _pull(place: int, replica: Ours, digest: str) -> Pull:
    buffer = bytearray(BUFFER)
    began = time.perf_counter()
    with connect(replica.host) as connection:
        path = f"/v2/bench/blobs/{digest}"
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {replica.host}\r\nConnection: close\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
            received += connection.recv(BUFFER)
        first = time.perf_counter() - began
        size = len(received.partition(b"\r\n\r\n")[2])
        while count := connection.recv_into(buffer):
            size += count
    return Pull(place, first, time.perf_counter() - began, size)


def _requests(upstream: Ours, digest: str) -> int:
    """Return how often the upstream was asked for the blob."""
    return len(_exchanges(upstream, f"method:GET reference:{digest}"))


def _holder(replicas: list[Ours], digest: str) -> int:
    """Return the replica whose exchanges include the miss."""
    for number, each in enumerate(replicas):
        name = json.load(urllib.request.urlopen(f"http://{each.control}/v1/status"))["replica"]
        if _exchanges(each, f"reference:{digest} cache:miss", f"&replica={name}"):
            return number
    return -1


def _exchanges(running: Ours, filter_: str, more: str = "") -> list[object]:
    query = urllib.parse.quote(filter_)
    with urllib.request.urlopen(f"http://{running.control}/v1/exchanges?filter={query}{more}") as response:
        return list(json.load(response))
