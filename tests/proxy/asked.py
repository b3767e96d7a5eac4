"""Upstreams in the test's own event loop, which record connections and how they end.

```python
async with Listening.at(redirect("https://elsewhere.example/")) as server, asking({"quay.io": server.url}):
    ...
```
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import httpx

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.client import Authorize, UpstreamClient
from brokenreg.proxy.http.statuses import status_error
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies
from brokenreg.proxy.routes import Route

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Listening:
    """Sends `answer` to every request, and then closes the connection or waits for another request.

    `host` is its address and port.
    """

    def __init__(self, answer: bytes, closes: bool) -> None:
        self.answer = answer
        self._closes = closes
        self.host = ""
        self.requests: list[bytes] = []
        """The heads of all requests."""
        self.connections: list[asyncio.Event] = []
        """One for each connection, set once the client has closed it."""

    @classmethod
    @asynccontextmanager
    async def at(
        cls, answer: bytes = OK, *, address: str = "127.0.0.1", closes: bool = False
    ) -> AsyncIterator[Self]:
        listening = cls(answer, closes)
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
        """The number of open connections."""
        return sum(not closed.is_set() for closed in self.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed = asyncio.Event()
        self.connections.append(closed)
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
                if self._closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            closed.set()
            writer.close()


@asynccontextmanager
async def asking(
    urls: dict[str, str],
    *,
    patience: float = 5.0,
    policy: AddressPolicy = AddressPolicy(list, beyond_loopback=False),  # noqa: B008
    web_proxies: WebProxies = DIRECT,
    context: ssl.SSLContext | None = None,
    authorize: Authorize = lambda *_: httpx.Auth(),
) -> AsyncIterator[UpstreamClient]:
    """Yield a client for upstreams at these URLs, without credentials."""
    context = context or ssl.create_default_context()
    client = UpstreamClient(urls, policy, context, authorize, patience, web_proxies)
    try:
        yield client
    finally:
        await client.close()


async def get(client: UpstreamClient, upstream: str) -> bytes:
    """Request something small, and return the body. Raise `UpstreamError` if that fails."""
    route = Route(upstream, "a/b")
    async with client.request(route, "GET", "tags/list", add_event=print) as response:
        if response.status != 200:
            raise await status_error(route, ErrorCode.NAME_UNKNOWN, "tags/list", response)
        return await response.read(100)


def redirect(place: str) -> bytes:
    """Return a redirect to `place`."""
    return f"HTTP/1.1 307 Elsewhere\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
