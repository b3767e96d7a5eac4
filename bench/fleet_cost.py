"""Measures the CPU time of requests to a brokenreg with a folder, with shared storage, and to three replicas.

The shared storage is an object store (seaweedfs) and PostgreSQL. Each request goes to another replica.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from pathlib import Path

from bench.objects import KEYS, seaweedfs
from bench.peers import Ours, ours
from bench.postgresql import running_server
from bench.processes import cpu_seconds

FOLDER, SHARED, FLEET = STORAGES = "folder", "S3, PostgreSQL", "3 replicas"
_CLIENTS = 8
_SMALL = os.urandom(1024)
_names = count()

Results = dict[tuple[str, str], list[tuple[float, float]]]
"""Requests per second, and CPU seconds per request of all brokenregs, by kind of request and of storage."""


class Client:
    """Sends each request to the next server."""

    def __init__(self, servers: list[Ours], first: int) -> None:
        connections = [http.client.HTTPConnection(each.host) for each in servers]
        self._connections = cycle(connections[first % len(servers) :] + connections[: first % len(servers)])

    def send(self, method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
        connection = next(self._connections)
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        if response.status not in (200, 201, 202):
            sys.exit(f"bench: {method} {path} was answered with {response.status}")
        return response

    def get_blob(self) -> None:
        self.send("GET", f"/v2/bench/blobs/{_digest(_SMALL)}")

    def get_manifest(self) -> None:
        self.send("GET", "/v2/bench/manifests/v1")

    def push(self) -> None:
        """Push a blob of 20 kB in three requests."""
        content = os.urandom(20_000)
        location = self.send("POST", "/v2/bench/blobs/uploads/").headers["location"]
        location = self.send("PATCH", location, content).headers["location"]
        self.send("PUT", f"{location}{'&' if '?' in location else '?'}digest={_digest(content)}")

    def put_tag(self) -> None:
        self.send("PUT", f"/v2/bench/manifests/new-{next(_names)}", _manifest(0))

    def move_tag(self) -> None:
        self.send("PUT", "/v2/bench/manifests/moved", _manifest(next(_names)))


REQUESTS: dict[str, tuple[Callable[[Client], None], int, int]] = {
    "GET of a manifest": (Client.get_manifest, 4000, 1),
    "GET of a blob of 1 KiB": (Client.get_blob, 2000, 1),
    "push of 20 kB, in 3 requests": (Client.push, 300, 3),
    "push of a manifest": (Client.put_tag, 600, 1),
    "push of a manifest that moves a tag": (Client.move_tag, 300, 1),
}
"""What a client does, how often, and the number of its requests."""


def measure(folder: Path, rounds: int, note: Callable[[str], None]) -> Results:
    """Measure all kinds in turn in each round."""
    results: Results = defaultdict(list)
    with _servers(folder) as servers:
        for each in servers.values():
            client = Client(each, 0)
            client.send("POST", f"/v2/bench/blobs/uploads/?digest={_digest(_SMALL)}", _SMALL)
            client.send("PUT", "/v2/bench/manifests/v1", _manifest(0))
            for _ in range(20):
                for run, _, _ in REQUESTS.values():
                    run(client)
        for round_ in range(rounds):
            for kind, (run, times, requests) in REQUESTS.items():
                for storage, each in servers.items():
                    note(f"round {round_ + 1}: {kind}, {storage}")
                    seconds, cpu = _run(each, run, times)
                    sent = times * requests
                    results[kind, storage].append((sent / seconds, cpu / sent))
    return results


def report(results: Results) -> Iterator[tuple[str, ...]]:
    """Yield a row for each kind of request: medians of CPU time and of rates."""
    for kind in REQUESTS:
        row = [kind]
        for place in (1, 0):
            for storage in STORAGES:
                value = statistics.median(each[place] for each in results[kind, storage])
                row.append(f"{value * 1e6:,.0f} µs" if place else f"{value:,.0f}")
        yield tuple(row)


def _run(servers: list[Ours], run: Callable[[Client], None], times: int) -> tuple[float, float]:
    """Let clients do something, and return the seconds, and the CPU seconds of the servers."""
    clients = [Client(servers, number) for number in range(_CLIENTS)]

    def repeat(client: Client) -> None:
        for _ in range(times // _CLIENTS):
            run(client)

    cpu = sum(cpu_seconds(each.process) for each in servers)
    began = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as threads:
        list(threads.map(repeat, clients))
    seconds = time.perf_counter() - began
    return seconds, sum(cpu_seconds(each.process) for each in servers) - cpu


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[dict[str, list[Ours]]]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(seaweedfs(folder / "seaweedfs"))
        os.environ.update({**KEYS, "AWS_ENDPOINT": url})
        database = stack.enter_context(running_server(fsync=True))

        def shared(name: str, *more: str) -> Ours:
            place = name.partition("-")[0]
            options = ["--database", database.url(place), "--blobs", f"s3://ours/{place}", *more]
            return stack.enter_context(ours(folder / name, "--offline", *options))

        for name in ("shared", "fleet"):
            database.create_database(name)
        replicas = [shared(f"fleet-{each}", "--fleet-key", "of the benchmark") for each in range(3)]
        folder_ = stack.enter_context(ours(folder / "folder", "--offline"))
        yield {FOLDER: [folder_], SHARED: [shared("shared")], FLEET: replicas}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _manifest(number: int) -> bytes:
    return json.dumps({"schemaVersion": 2, "number": number}).encode()
