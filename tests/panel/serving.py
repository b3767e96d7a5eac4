"""A registry that serves in the event loop of the test, with a panel, and a client on a socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from screen import look
from textual.pilot import Pilot

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.tui.app import Panel

PATIENCE = 10.0
"""Seconds for anything that is waited for."""


class Client:
    """One connection to a registry on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1") -> None:
        lines = "\r\n".join((f"{method} {path} HTTP/1.1", f"host: {host}", *headers, "", ""))
        self.writer.write(lines.encode())
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, once they have come."""
        async with asyncio.timeout(PATIENCE):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines)

    async def body(self, size: int) -> bytes:
        """Read that many bytes of the body."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(size)

    async def has_more(self) -> bool:
        """Return whether bytes arrive within 50 ms."""
        try:
            async with asyncio.timeout(0.05):
                return bool(await self.reader.read(1))
        except TimeoutError:
            return False


class Serving:
    """A registry that serves, and a panel on it."""

    def __init__(self, runtime: Runtime, panel: Panel, pilot: Pilot[int], clients: list[Client]) -> None:
        self.runtime = runtime
        self.panel = panel
        self.pilot = pilot
        self.port = int(runtime.status().registry[0].rpartition(":")[2])
        self._clients = clients

    async def look(self, *keys: str) -> str:
        return await look(self.pilot, *keys)

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def layer(self, size: int) -> tuple[str, str]:
        """Return the path and digest of the layer of a fabricated image, which has about `size` bytes."""
        client = await self.client()
        await client.ask(f"/v2/broken/random/manifests/layers-1_size-{size}")
        _, headers = await client.head()
        manifest = json.loads(await client.body(int(headers["content-length"])))
        digest = manifest["layers"][0]["digest"]
        return f"/v2/broken/random/blobs/{digest}", digest

    async def until(self, is_so: Callable[[Exchange], object]) -> Exchange:
        """The newest exchange, once it is so."""
        log, happened = self.runtime.log, asyncio.Event()
        unsubscribe = log.subscribe(lambda *_: happened.set(), *ExchangeEvent)
        try:
            async with asyncio.timeout(PATIENCE):
                while not (len(log) and is_so(log[log.end - 1])):
                    happened.clear()
                    await happened.wait()
        finally:
            unsubscribe()
        return log[log.end - 1]


@asynccontextmanager
async def serving(size: tuple[int, int] = (80, 24), upstream: str = "") -> AsyncIterator[Serving]:
    """A registry on a free port, without a control API, in a folder of its own.

    Offline, or before the registry at the URL `upstream`, which it calls `quay.io`.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            listen=["127.0.0.1:0"],
            control=None,
            fabricate_limit="1GiB",
            data=Path(folder),
            offline=not upstream,
            upstream=[f"quay.io={upstream}"] if upstream else [],
        )
        clients: list[Client] = []
        try:
            async with Server.running(settings, Diagnostics()) as server:
                panel = Panel(server.runtime)
                async with panel.run_test(size=size, notifications=True) as pilot:
                    yield Serving(server.runtime, panel, pilot, clients)
        finally:
            for client in clients:
                client.writer.close()


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
