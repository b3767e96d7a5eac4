"""Measures pushes of manifests with the index in SQLite and in PostgreSQL, and how old a response can be."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.peers import ours
from bench.postgresql import PostgreSQLServer, running_server

_CLIENTS = 16
"""Number of clients that push at the same time, together."""

_MOVES = 300
"""Number of times that a tag is moved in each round."""

KINDS = ("SQLite", "PostgreSQL", "PostgreSQL, 3 brokenregs")


@dataclass
class Figures:
    """What was measured in all rounds."""

    rates: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Pushes per second."""
    single: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Seconds of a push without others at the same time."""
    ages: list[float] = field(default_factory=list)
    """Seconds from the response to a push until another brokenreg serves the new manifest."""
    misses: list[float] = field(default_factory=list)
    """Seconds of a request for a manifest that does not exist."""


def measure(folder: Path, rounds: int, seconds: float) -> Figures:
    """Measure all kinds in turn, in each round with new data."""
    figures = Figures()
    with running_server(fsync=True) as server:
        for number in range(rounds):
            for kind in KINDS:
                with _running(folder / f"{number}-{len(kind)}", kind, server, number) as urls:
                    asyncio.run(_measure(urls, kind, seconds, figures))
    return figures


def report(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """Yield rows: what was measured, its median, and how it compares with SQLite or its 99th percentile."""
    basis = statistics.median(figures.rates["SQLite"])
    for kind, rates in figures.rates.items():
        rate = statistics.median(rates)
        yield f"pushes/s, {kind}", f"{rate:,.0f}", f"{rate / basis:.2f} of SQLite"
    times = {**figures.single, "a miss, PostgreSQL": figures.misses, "age of a moved tag": figures.ages}
    for name, found in times.items():
        label = f"one push, {name}" if name in KINDS else name
        yield label, f"{statistics.median(found) * 1000:.1f} ms", f"p99 {_p99(found) * 1000:.1f} ms"


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


@contextlib.contextmanager
def _running(folder: Path, kind: str, server: PostgreSQLServer, number: int) -> Iterator[list[str]]:
    """Yield the URLs of new registries of that kind."""
    options = ["--offline"]
    if kind != "SQLite":
        options += ["--database", server.create_database(f"bench_{number}_{len(kind)}")]
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        count = 3 if "3" in kind else 1
        registries = [stack.enter_context(ours(folder / str(each), *options)) for each in range(count)]
        yield [f"http://{each.host}" for each in registries]


async def _measure(urls: list[str], kind: str, seconds: float, figures: Figures) -> None:
    async with _clients(urls) as clients:
        figures.rates[kind].append(await _rate(clients, seconds))
        for number in range(100):
            began = time.perf_counter()
            await _push(clients[0], f"single-{number}", "v1")
            figures.single[kind].append(time.perf_counter() - began)
        if kind == "PostgreSQL":
            for number in range(100):
                began = time.perf_counter()
                response = await clients[0].get(f"/v2/missing/manifests/v{number}")
                figures.misses.append(time.perf_counter() - began)
                assert response.status_code == 404
        if len(urls) > 1:
            figures.ages += [await _age(clients, number) for number in range(_MOVES)]


@contextlib.asynccontextmanager
async def _clients(urls: list[str]) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60)) for url in urls]


async def _rate(clients: list[httpx.AsyncClient], seconds: float) -> float:
    """Push through all registries for some time, and return the pushes per second."""
    end = time.perf_counter() + seconds
    pushed = 0

    async def push(name: int) -> None:
        nonlocal pushed
        client = clients[name % len(clients)]
        number = 0
        while time.perf_counter() < end:
            number += 1
            await _push(client, f"rate-{name}-{number}", f"v{number % 10}")
            pushed += 1

    began = time.perf_counter()
    await asyncio.gather(*map(push, range(_CLIENTS)))
    return pushed / (time.perf_counter() - began)


async def _push(client: httpx.AsyncClient, name: str, tag: str) -> str:
    body = json.dumps({"schemaVersion": 2, "name": name}).encode()
    repository, _, _ = name.partition("-")
    response = await client.put(f"/v2/{repository}/manifests/{tag}", content=body)
    assert response.status_code == 201, response.text
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


async def _age(clients: list[httpx.AsyncClient], number: int) -> float:
    """Move a tag at one registry, and return the seconds until another one serves it."""
    pusher, puller = clients[number % 3], clients[(number + 1) % 3]
    digest = await _push(pusher, f"moved-{number}", "newest")
    began = time.perf_counter()
    while True:
        response = await puller.head("/v2/moved/manifests/newest")
        if response.headers.get("docker-content-digest") == digest:
            return time.perf_counter() - began
        await asyncio.sleep(0.001)  # the client must not compete with the registries
