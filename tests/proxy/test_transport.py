"""The transport for httpx: which connections are used again, and long bodies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpcore
import httpx
import pytest
import trustme

from brokenreg.proxy.http.addresses import AddressPolicy, AddressScope, Trust
from brokenreg.proxy.http.lookups import Lookups
from brokenreg.proxy.http.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def serving(serve: Serve, authority: trustme.CA | None) -> AsyncIterator[str]:
    """Yield the URL of a server that calls `serve` for each connection."""
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0, ssl=context)
    async with server:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@asynccontextmanager
async def client(authority: trustme.CA | None) -> AsyncIterator[httpx.AsyncClient]:
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    transport = Transport(
        context,
        AddressPolicy(list, beyond_loopback=False),
        Trust(scope=AddressScope.LOOPBACK),
        partial(Lookups().resolve, upstream="quay.io"),
    )
    async with httpx.AsyncClient(transport=transport, timeout=5) as asking:
        yield asking


@pytest.fixture(params=["plain", "tls"])
def maybe(request: pytest.FixtureRequest, authority: trustme.CA) -> trustme.CA | None:
    return authority if request.param == "tls" else None


async def test_a_connection_is_used_again(maybe: trustme.CA | None) -> None:
    """Also after TLS has sent session tickets."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    async with serving(serve, maybe) as url, client(maybe) as asking:
        for _ in range(5):
            assert (await asking.get(url)).text == "ok"
    assert connections == 1


async def test_a_connection_with_surplus_bytes_is_not_used_again(maybe: trustme.CA | None) -> None:
    """A 408 on an idle connection is not the response to the next request."""
    connections = 0
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        if connections == 1:
            await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            said.set()
            await reader.read()

    async with serving(serve, maybe) as url, client(maybe) as asking:
        assert (await asking.get(url)).status_code == 200
        await asyncio.wait_for(said.wait(), 5)
        await asyncio.sleep(0.05)  # it is on its way
        assert (await asking.get(url)).status_code == 200
    assert connections == 2


async def test_a_long_body_in_both_directions(maybe: trustme.CA | None) -> None:
    """The bodies exceed the sockets' buffers, so that reading and writing alternate."""
    content = bytes(range(256)) * (1 << 15)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(content))
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async with serving(serve, maybe) as url, client(maybe) as asking:
        assert (await asking.post(url, content=content)).content == content


async def test_cancelled_requests_free_their_place(maybe: trustme.CA | None) -> None:
    asked = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if b"/slow" in request:
            asked.release()
            await reader.read()
        else:
            writer.write(OK)

    async with serving(serve, maybe) as url, client(maybe) as asking:
        for _ in range(10):
            waiting = [asyncio.create_task(asking.get(f"{url}slow")) for _ in range(30)]
            for _ in waiting:
                await asyncio.wait_for(asked.acquire(), 10)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        assert (await asking.get(url)).text == "ok"


async def test_a_handshake_that_never_ends_times_out(authority: trustme.CA) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(serve, None) as url, client(authority) as asking:
        with pytest.raises(httpcore.ConnectTimeout):
            await asking.get(url.replace("http:", "https:"), timeout=0.2)
