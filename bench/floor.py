"""Measures small requests, compared with a minimal server in Python (the floor) and docker-registry.

Over HTTP/1.1 with 16 connections, and over HTTP/2 with TLS, one connection and 16 streams. The floor is a
bare `asyncio.Protocol` with httptools, over HTTP/2 the h2 library; both send a fixed response of the same
bytes.
brokenreg serves as people run it: JSON lines to /dev/null, and a log of exchanges that is full.
"""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.bare import bare
from bench.load import Client, Request, apart, connect, encode, http1, http2, receive, wrk
from bench.peers import Certificate, Ours, Running, make_certificate, ours, peer
from bench.processes import cpu_seconds
from bench.rules import put_scenario, unmatched_rules
from bench.transfers import push, put_manifest

FLOOR, OURS, PEER = "floor", "brokenreg", "docker-registry"
PROTOCOLS = ("HTTP/1.1", "HTTP/2")
_TAGS = 4000
"""Tags that are requested for the first time in a round, 20 in each of 200 repositories."""

_REPOSITORIES = 200
_LOG = 10_500
"""Number of requests that fill the exchange log and all caches."""

_HEADERS = {
    "User-Agent": "containerd/v2.0.2",
    "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*",
}


@dataclass(frozen=True)
class Kind:
    """A kind of request, and its goals: the maximum ratio to the cost of the floor for each protocol."""

    name: str
    method: str = "GET"
    path: str = "/v2/bench/manifests/latest"
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    goals: tuple[float | None, float | None] = (None, None)
    status: int = 200
    has_rules: bool = False
    is_first: bool = False
    peer_goal: float | None = None
    """Minimum ratio to the requests per second of docker-registry, over HTTP/1.1."""


class Cost(NamedTuple):
    """CPU microseconds of the server per request, and requests per second."""

    cpu: float
    rate: float


Results = dict[tuple[str, Kind], dict[str, list[Cost]]]
"""The costs of each round, by protocol and kind, and by server."""


def kinds(manifest: str, blob: str) -> list[Kind]:
    """Return the kinds of requests, for a manifest and a blob of 1 KiB with these digests."""
    by_digest, blob_path = f"/v2/bench/manifests/{manifest}", f"/v2/bench/blobs/{blob}"
    known = {"If-None-Match": f'"{manifest}"'}
    return [
        Kind("ping", path="/v2/", goals=(6, 1.5)),
        Kind("manifest GET by tag", goals=(6, 1.5), peer_goal=18),
        Kind("manifest GET by digest", path=by_digest, goals=(6, 1.5)),
        Kind("manifest GET, 304", headers=known, status=304, goals=(6, 1.5)),
        Kind("blob HEAD", "HEAD", blob_path, goals=(6, 1.5)),
        Kind("blob GET, 1 KiB", path=blob_path),
        Kind("manifest GET, 100 rules", goals=(10, None), has_rules=True),
        Kind("manifest GET, first time", goals=(12, None), is_first=True),
    ]


def measure(
    folder: Path, rounds: int, seconds: float, only: list[str], status: Callable[[str], None]
) -> Results:
    """Measure each kind whose name or protocol contains one of `only`, alternating between the servers."""
    every = kinds(*_push(folder))
    chosen = {
        protocol: [
            kind for kind in every if not only or any(name in f"{protocol}, {kind.name}" for name in only)
        ]
        for protocol in PROTOCOLS
    }
    is_first = any(kind.is_first for some in chosen.values() for kind in some)
    tags = _push_tags(folder) if is_first else []
    results: Results = {}
    for protocol, certificate in zip(PROTOCOLS, (None, make_certificate(folder)), strict=True):
        bench = _Bench(folder, certificate, tags, seconds, partial(_say, status, protocol))
        for some in _partition(chosen[protocol]):
            for kind, costs in bench.measure(some, rounds):
                results[protocol, kind] = costs
    return results


def _partition(some: list[Kind]) -> Iterator[list[Kind]]:
    """Return the kinds that share a running brokenreg, and those that need a new one each time."""
    for is_first in (False, True):
        if part := [kind for kind in some if kind.is_first == is_first]:
            yield part


class _Bench:
    """The servers for one protocol, on folders with their content."""

    def __init__(
        self,
        folder: Path,
        certificate: Certificate | None,
        tags: list[str],
        seconds: float,
        status: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._tags = tags
        self._seconds = seconds
        self._status = status

    def measure(self, some: list[Kind], rounds: int) -> Iterator[tuple[Kind, dict[str, list[Cost]]]]:
        """Measure kinds of requests that are either all requested for the first time, or none of them."""
        with contextlib.ExitStack() as stack:
            other = stack.enter_context(peer(self._folder / "peer", certificate=self._certificate))
            own = None if some[0].is_first else stack.enter_context(self._ours())
            for kind in some:
                costs: dict[str, list[Cost]] = {FLOOR: [], OURS: [], PEER: []}
                with self._bare(kind, own) as floor:
                    for number in range(rounds):
                        self._status(f"{kind.name}, round {number + 1} of {rounds}")
                        costs[FLOOR].append(self._cost(floor, kind, self._seconds))
                        costs[OURS].append(self._own_cost(own, kind))
                        costs[PEER].append(self._cost(other, kind, self._seconds))
                yield kind, costs

    @contextlib.contextmanager
    def _ours(self) -> Iterator[Ours]:
        """Run brokenreg until its log is full."""
        with ours(self._folder / "ours", certificate=self._certificate) as own:
            request = self._request(own, Kind("warm"))
            apart(self._client, own.host, request._replace(paths=[*request.paths] * _LOG), None)
            yield own

    @contextlib.contextmanager
    def _bare(self, kind: Kind, own: Ours | None) -> Iterator[Running]:
        """Run a minimal server that always sends the response of brokenreg."""
        file = self._folder / "response"
        with contextlib.ExitStack() as stack:
            server = own or stack.enter_context(self._ours())
            file.write_bytes(self._response(server, kind))
        with bare(file, self._certificate) as floor:
            yield floor

    def _own_cost(self, own: Ours | None, kind: Kind) -> Cost:
        """Measure a running brokenreg, or one that is started for this and has empty caches."""
        if own is None:
            with self._ours() as fresh:
                return self._cost(fresh, kind, None)
        put_scenario(own.control, unmatched_rules() if kind.has_rules else [])
        return self._cost(own, kind, self._seconds)

    def _cost(self, server: Running | Ours, kind: Kind, seconds: float | None) -> Cost:
        """Measure a server for that many seconds, or until each tag was requested once."""
        request = self._request(server, kind)
        before = cpu_seconds(server.process)
        if self._certificate is None and kind.method == "GET" and not kind.is_first and seconds:
            load = wrk(server.host, request, seconds)
        else:
            load = apart(self._client, server.host, request, seconds)
        cpu = cpu_seconds(server.process) - before
        return Cost(cpu / load.requests * 1e6, load.requests / load.seconds)

    @property
    def _client(self) -> Client:
        return http2 if self._certificate else http1

    def _request(self, server: Running | Ours, kind: Kind) -> Request:
        """Return the request of a kind, with the response that this server sends."""
        request = Request(kind.method, [kind.path], {**_HEADERS, **kind.headers})
        if kind.is_first:
            request = request._replace(paths=self._tags)
        response = self._send(server, kind)
        if response.status_code != kind.status:
            sys.exit(f"bench: {kind.name} at {server.host} was answered {response.status_code}")
        return request._replace(status=kind.status, body=len(response.content))

    def _send(self, server: Running | Ours, kind: Kind) -> httpx.Response:
        scheme = "https" if self._certificate else "http"
        with httpx.Client(verify=False, http1=not self._certificate, http2=bool(self._certificate)) as client:
            return client.request(
                kind.method, f"{scheme}://{server.host}{kind.path}", headers={**_HEADERS, **kind.headers}
            )

    def _response(self, server: Ours, kind: Kind) -> bytes:
        """Return the response to a kind of request as bytes of HTTP/1.1."""
        if self._certificate:
            response = self._send(server, kind)
            fields = [(b":status", str(response.status_code).encode()), *response.headers.raw]
            return b"".join(b"%b: %b\r\n" % each for each in fields) + b"\r\n" + response.content
        request = self._request(server, kind)
        with connect(server.host) as connection:
            connection.sendall(encode(server.host, request, kind.path))
            return receive(connection, b"HTTP/1.1", request.body)


def _say(status: Callable[[str], None], protocol: str, doing: str) -> None:
    status(f"{protocol}: {doing}")


def _push(folder: Path) -> tuple[str, str]:
    """Push the same manifest and blob to both registries, and return their digests."""
    blob = folder / "blob"
    blob.write_bytes(b"x" * 1024)
    digest = f"sha256:{hashlib.sha256(blob.read_bytes()).hexdigest()}"
    with ours(folder / "ours") as own, peer(folder / "peer") as other:
        for host in (own.host, other.host):
            push(host, blob, digest)
            manifest = put_manifest(host, tag="latest")
    return manifest, digest


def _push_tags(folder: Path) -> list[str]:
    """Push many tags to both registries, and return their paths."""
    tags = [(f"team{number % _REPOSITORIES}/app", f"v{number // _REPOSITORIES}") for number in range(_TAGS)]
    with ours(folder / "ours") as own, peer(folder / "peer") as other:
        for host in (own.host, other.host):
            for repository, tag in tags:
                put_manifest(host, repository, tag)
    return [f"/v2/{repository}/manifests/{tag}" for repository, tag in tags]


def report(results: Results, protocol: str) -> Iterator[tuple[str, ...]]:
    """Yield rows with the medians of CPU time, requests per second, and the ratios of the rounds."""
    for (its, kind), costs in results.items():
        if its == protocol:
            cpu = {name: statistics.median(cost.cpu for cost in each) for name, each in costs.items()}
            rate = {name: statistics.median(cost.rate for cost in each) for name, each in costs.items()}
            yield (
                kind.name,
                f"{cpu[FLOOR]:,.1f}",
                f"{cpu[OURS]:,.1f}",
                f"{statistics.median(_times_floor(costs)):.1f}",
                f"{cpu[PEER]:,.0f}",
                f"{rate[OURS]:,.0f}",
                f"{rate[PEER]:,.0f}",
                f"{statistics.median(_times_peer(costs)):.1f}",
            )


def goals(results: Results) -> Iterator[tuple[str, str, str]]:
    """Yield rows of (goal, measured median, minimum and maximum, whether the goal is met)."""
    for (protocol, kind), costs in results.items():
        goal = kind.goals[PROTOCOLS.index(protocol)]
        what = "the h2 library's CPU" if protocol == "HTTP/2" else "the floor's CPU"
        if goal is not None:
            ratios = _times_floor(costs)
            met = statistics.median(ratios) <= goal
            yield f"{protocol}, {kind.name}: at most {goal:g} times {what}", *_verdict(ratios, met)
        if kind.peer_goal is not None and protocol == "HTTP/1.1":
            ratios = _times_peer(costs)
            met = statistics.median(ratios) >= kind.peer_goal
            heading = f"{protocol}, {kind.name}: at least {kind.peer_goal:g} times {PEER}'s requests/s"
            yield heading, *_verdict(ratios, met)


def _verdict(ratios: list[float], met: bool) -> tuple[str, str]:
    measured = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return measured, "met" if met else "not met"


def _times_floor(costs: dict[str, list[Cost]]) -> list[float]:
    return [mine.cpu / floor.cpu for mine, floor in zip(costs[OURS], costs[FLOOR], strict=True)]


def _times_peer(costs: dict[str, list[Cost]]) -> list[float]:
    return [mine.rate / other.rate for mine, other in zip(costs[OURS], costs[PEER], strict=True)]
