"""Real pulls for the pictures: a client asks a registry that serves; then the times are set, by a script.

Bytes, digests, headers, faults and holding are what the registry made of it. Ports and times, which no two
runs share, are replaced.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from exchanges import DOCKER, NOON
from serving import PATIENCE, Client

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.gate.passage import Step
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent, TrafficLog
from brokenreg.traffic.timeline import Timeline

HOST = "127.0.0.1:8080"
_IMAGE = "/v2/broken/random"
_TAG = "layers-3_size-4mib"
_BEFORE_LAYERS = ((58.0, 0.001), (58.03125, 0.003), (58.0625, 0.002), (58.09375, 0.005))
"""Of `_put`: the greeting, the manifest twice, the configuration."""
_APART = 0.0004
"""Seconds between what happened to an exchange, but for the last of it."""
_DATE = "Thu, 01 Jan 2026 12:00:58 GMT"
_LATER = 9.0
"""Seconds from one pull to the other."""
_HELD_AT = 1536 * 1024
"""Bytes of the layer that somebody stopped."""


class Puller:
    """Asks as docker does. Each request has a connection of its own, open until `close`."""

    def __init__(self, runtime: Runtime) -> None:
        self._log = runtime.log
        self._port = int(runtime.status().registry[0].rpartition(":")[2])
        self._clients: list[Client] = []

    async def ask(self, path: str, *headers: str, method: str = "GET") -> tuple[Client, Exchange]:
        """Ask, and wait until the exchange is in the log."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self._clients.append(client)
        before = self._log.end
        await client.ask(path, f"user-agent: {DOCKER}", *headers, method=method, host=HOST)
        await self.until(lambda: self._log.end > before)
        return client, self._log[before]

    async def get(self, path: str, *headers: str, method: str = "GET") -> bytes:
        """Ask, and take what comes, until the exchange has ended."""
        client, exchange = await self.ask(path, *headers, method=method)
        _, answered = await client.head()
        size = 0 if method == "HEAD" else int(answered["content-length"])
        try:
            body = await client.body(size)
        except asyncio.IncompleteReadError as error:
            body = error.partial
        await self.until(lambda: exchange.ended)
        return body

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait for something of which the log tells."""
        happened = asyncio.Event()
        unsubscribe = self._log.subscribe(lambda *_: happened.set(), *ExchangeEvent)
        try:
            async with asyncio.timeout(PATIENCE):
                while not is_so():
                    happened.clear()
                    await happened.wait()
        finally:
            unsubscribe()

    async def manifest(self) -> list[str]:
        """What precedes the layers: the paths of those."""
        accept = "accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
        await self.get("/v2/")
        await self.get(f"{_IMAGE}/manifests/{_TAG}", accept, method="HEAD")
        manifest = json.loads(await self.get(f"{_IMAGE}/manifests/{_TAG}", accept))
        await self.get(f"{_IMAGE}/blobs/{manifest['config']['digest']}")
        return [f"{_IMAGE}/blobs/{layer['digest']}" for layer in manifest["layers"]]

    def close(self) -> None:
        for client in self._clients:
            client.writer.close()


@asynccontextmanager
async def half_way() -> AsyncIterator[Runtime]:
    """One layer has come; a break holds two, and somebody let one of them go on to a byte of its body."""
    async with _pulling() as (runtime, puller):
        first, second, third = await puller.manifest()
        await puller.get(first)
        gate = runtime.gate
        gate.breakpoints.add("endpoint:layer")
        client, stepped = await puller.ask(second)
        await puller.until(lambda: stepped.held_since)
        gate.hold(stepped.id, "hand")
        gate.order(stepped.id, Step(_HELD_AT))
        await client.head()
        await client.body(_HELD_AT)
        await puller.until(lambda: stepped.response_bytes == _HELD_AT and stepped.held_since)
        _, waiting = await puller.ask(third)
        await puller.until(lambda: waiting.held_since)
        _put(runtime.log, *_BEFORE_LAYERS, (58.125, 0.412), (58.125, 4.875), (70.25, 0.003))
        yield _at_home(runtime)


@asynccontextmanager
async def retried() -> AsyncIterator[Runtime]:
    """A whole pull. A rule cut one of its layers, and the client asked for the rest of it."""
    async with _pulling() as (runtime, puller):
        cut = {"fault": {"type": "truncate", "after": "1MiB"}, "match": {"layer": 2}, "times": 1}
        runtime.rules.book("").add(rule_of(cut), "panel")
        first, second, third = await puller.manifest()
        await puller.get(first)
        came = len(await puller.get(second))
        await puller.get(third)
        await puller.get(second, f"range: bytes={came}-")
        _put(runtime.log, *_BEFORE_LAYERS, (58.125, 0.412), (58.125, 0.203), (58.375, 0.688), (58.5, 0.438))
        yield _at_home(runtime)


@asynccontextmanager
async def compared() -> AsyncIterator[Runtime]:
    """A pull in which nothing failed, and one in which a rule cut a layer, and the client got the rest."""
    async with _pulling() as (runtime, puller):
        for layer in await puller.manifest():
            await puller.get(layer)
        cut = {"fault": {"type": "truncate", "after": "1MiB"}, "match": {"layer": 2}, "times": 1}
        runtime.rules.book("").add(rule_of(cut), "panel")
        first, second, third = await puller.manifest()
        await puller.get(first)
        came = len(await puller.get(second))
        await puller.get(third)
        await puller.get(second, f"range: bytes={came}-")
        healthy = (*_BEFORE_LAYERS, (58.125, 0.412), (58.125, 0.453), (58.25, 0.688))
        broken = (*_BEFORE_LAYERS, (58.125, 0.421), (58.125, 0.203), (58.375, 0.702), (59.5, 0.438))
        _put(runtime.log, *healthy, *((at + _LATER, took) for at, took in broken))
        yield _at_home(runtime)


@asynccontextmanager
async def _pulling() -> AsyncIterator[tuple[Runtime, Puller]]:
    """A registry that serves on a free port, and a client of it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            listen=["127.0.0.1:0"], control=None, fabricate_limit="1GiB", data=Path(folder), offline=True
        )
        async with Server.running(settings, Diagnostics()) as server:
            puller = Puller(server.runtime)
            # On a busy machine, it would take so long that the first request tells of it.
            await server.runtime.images.image("broken/random", _TAG)
            try:
                yield server.runtime, puller
            finally:
                puller.close()


def _put(log: TrafficLog, *spans: tuple[float, float]) -> None:
    """Set each to its time: seconds after noon, and how long until it ended, or was held."""
    for (at, took), exchange in zip(spans, log, strict=True):
        exchange.started = NOON + at
        exchange.client = f"127.0.0.1:{40300 + exchange.id}"
        *events, last = [event for event, _ in exchange.timeline]
        exchange.timeline = Timeline()
        for place, event in enumerate(events):
            exchange.timeline.add(event, _APART * place)
        exchange.timeline.add(last, took)
        if exchange.held_since is not None:
            exchange.held_since = exchange.started + took
        exchange.response_headers = tuple(
            (name, _DATE if name == "date" else value) for name, value in exchange.response_headers
        )


def _at_home(runtime: Runtime) -> Runtime:
    """The same, as if it listened where it does by default."""
    status = runtime.status
    return replace(runtime, status=lambda: status().model_copy(update={"registry": [f"http://{HOST}"]}))
