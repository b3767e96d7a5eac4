"""A web proxy that opens tunnels (CONNECT), and resolves names that only it knows.

```python
with web_proxy(routes={"quay.io:443": registry.host}) as proxy:
    with brokenreg(folder, "--upstream-proxy", proxy.url) as running:
        ...
    assert proxy.asked == ["CONNECT quay.io:443 HTTP/1.1"]
```
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class WebProxy:
    """A running web proxy. `routes` maps hosts with ports to addresses. Others get a 503."""

    routes: Mapping[str, str]
    login: str | None = None
    """`user:password` that it wants."""
    says: bytes | None = None
    """What it says in place of opening tunnels, before it closes the connection; if empty, nothing."""
    place: str = ""
    scheme: str = "http"
    asked: list[str] = field(default_factory=list)
    """The first line of each request."""
    heads: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """All that came through tunnels from clients, as it came."""

    @property
    def url(self) -> str:
        login = "" if self.login is None else f"{self.login}@"
        return f"{self.scheme}://{login}{self.place}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.asked.append(head.partition(b"\r\n")[0].decode())
        method, target = self.asked[-1].split()[:2]
        if self.login is not None and self._proof not in head:
            writer.write(b"HTTP/1.1 407 " + head.replace(b"\r\n", b" ") + b"\r\nContent-Length: 0\r\n\r\n")
        elif method != "CONNECT" or target not in self.routes:
            writer.write(b"HTTP/1.1 503 Elsewhere\r\nContent-Length: 6\r\n\r\nnobody")
        elif self.says is not None:
            writer.write(self.says)
            if not self.says:
                await reader.read()
        else:
            host, _, port = self.routes[target].rpartition(":")
            there, onward = await asyncio.open_connection(host, int(port))
            writer.write(OPEN)
            await asyncio.gather(self._pump(reader, onward, self.sent), self._pump(there, writer, []))

    @property
    def _proof(self) -> bytes:
        assert self.login is not None
        proof = base64.b64encode(self.login.encode())
        return b"proxy-authorization: Basic " + proof + b"\r\n"

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[bytes]
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                seen.append(data)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def listening(proxy: WebProxy, context: ssl.SSLContext | None = None) -> AsyncIterator[WebProxy]:
    """Serve in this event loop."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=context)
    proxy.scheme = "http" if context is None else "https"
    proxy.place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


@contextmanager
def web_proxy(routes: Mapping[str, str], login: str | None = None) -> Iterator[WebProxy]:
    """Serve in its own thread."""
    proxy, ready, loop = WebProxy(routes, login), threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with listening(proxy):
            ready.set()
            await ended.wait()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
