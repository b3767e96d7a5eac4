"""Upstreams within the test's own loop, for what no real registry tells: who connected, and who was cut.

```python
async with Listening.at() as server:
    server.answers = [b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}"]
```
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import httpx

from brokenreg.proxy.addresses import AddressPolicy
from brokenreg.proxy.client import UpstreamClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Listening:
    """Answers every request with `answer`, and keeps connections open. `host` is its `127.0.0.1:port`."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.host = ""
        self.requests: list[bytes] = []
        """The heads of all requests."""
        self.connections: list[asyncio.Event] = []
        """One for each connection, set once the client has closed it."""

    @classmethod
    @asynccontextmanager
    async def at(cls, answer: bytes = OK, address: str = "127.0.0.1") -> AsyncIterator[Self]:
        listening = cls(answer)
        server = await asyncio.start_server(listening._serve, address, 0)
        listening.host = f"{address}:{server.sockets[0].getsockname()[1]}"
        try:
            yield listening
        finally:
            server.close()

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def open(self) -> int:
        """How many connections are open."""
        return sum(not closed.is_set() for closed in self.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed = asyncio.Event()
        self.connections.append(closed)
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            closed.set()
            writer.close()


@asynccontextmanager
async def asking(urls: dict[str, str], patience: float = 5.0) -> AsyncIterator[UpstreamClient]:
    """A client for upstreams at these URLs, without credentials."""
    policy = AddressPolicy(list, beyond_loopback=False)
    context = ssl.create_default_context()
    client = UpstreamClient(urls, policy, context, lambda *_: httpx.Auth(), patience)
    try:
        yield client
    finally:
        await client.close()
