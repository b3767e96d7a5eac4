"""The number of connections to one upstream is limited; other requests wait, and fail after a while."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from contextlib import AsyncExitStack, suppress

import pytest

from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.routes import Route
from brokenreg.storage.errors import error_for_client
from tests.proxy.asked import OK, Listening, asking, get

UNENDING = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"


async def ask(stack: AsyncExitStack, client: UpstreamClient, upstream: str) -> None:
    """Request a body that does not end, and keep the connection."""
    await stack.enter_async_context(
        client.request(Route(upstream, "a/b"), "GET", "tags/list", add_event=print)
    )


async def test_a_request_that_waits_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.http.pools.MAX_REQUESTS", 2)
    async with Listening.at(UNENDING) as server, Listening.at() as other, AsyncExitStack() as stack:
        urls = {"quay.io": server.url, "other": other.url}
        client = await stack.enter_async_context(asking(urls, patience=0.2))
        for _ in range(2):
            await ask(stack, client, "quay.io")
        with pytest.raises(UpstreamBusyError, match=r"^2 requests to quay\.io are already running") as busy:
            await get(client, "quay.io")
        assert (busy.value.status, busy.value.headers["retry-after"]) == (503, "10")
        assert await get(client, "other") == b"{}"
        assert len(server.requests) == 2


async def test_connections_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """By requests that have ended, and by requests that were cancelled while they waited."""
    monkeypatch.setattr("brokenreg.proxy.http.pools.MAX_REQUESTS", 1)
    async with Listening.at() as server, asking({"quay.io": server.url}) as client:
        async with AsyncExitStack() as stack:
            await ask(stack, client, "quay.io")
            waiting = [asyncio.create_task(get(client, "quay.io")) for _ in range(3)]
            await asyncio.sleep(0.01)
            assert len(server.requests) == 1
            waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == [b"{}"] * 2


async def test_thousands_of_waiting_requests_do_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore scans its queue whenever a request begins or ends."""
    monkeypatch.setattr("brokenreg.proxy.http.pools.MAX_REQUESTS", 4)
    queued: list[int] = []
    async with Listening.at(UNENDING) as server, asking({"quay.io": server.url}) as client:
        waiting = [asyncio.create_task(get(client, "quay.io")) for _ in range(100)]
        await asyncio.sleep(0.1)
        async with client._pools.using("quay.io") as http:
            transport = http._transport._transport._transport  # type: ignore[attr-defined]
            queued += [len(pool._requests) for pool in transport._pools.values()]
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert queued == [0, 4]


async def test_without_a_free_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is neither an unreachable upstream nor an internal one."""

    async def connect(_: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("brokenreg.proxy.http.connecting.connect", connect)
    async with asking({"quay.io": "http://127.0.0.1:9"}) as client:
        with pytest.raises(
            UpstreamBusyError, match="reached its limit on open files and connections"
        ) as busy:
            await get(client, "quay.io")
    assert (busy.value.status, busy.value.headers["retry-after"]) == (503, "10")


def test_without_a_free_descriptor_for_a_file() -> None:
    error = error_for_client(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/data/uploads/1"))
    assert error is not None
    assert (error.status, error.headers["retry-after"]) == (503, "10")
    assert "/data" not in error.message


async def test_requests_that_wait_for_a_token_do_not_block_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All connections are used by requests that got a 401."""
    monkeypatch.setattr("brokenreg.proxy.http.pools.MAX_REQUESTS", 2)
    tokens = TokenCache()
    token = b'{"token": "opens"}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                host = request.lower().partition(b"host: ")[2].partition(b"\r")[0]
                if request.startswith(b"GET /token"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token))
                elif b"Bearer opens" in request:
                    writer.write(OK)
                else:
                    challenge = b'Bearer realm="http://%b/token"' % host
                    writer.write(b"HTTP/1.1 401 No\r\nWWW-Authenticate: %b\r\n" % challenge)
                    writer.write(b"Content-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = await stack.enter_async_context(
            asking(
                {"quay.io": url},
                patience=2,
                authorize=lambda route, http, add_event: UpstreamAuth(route, http, None, tokens, add_event),
            )
        )
        async with asyncio.timeout(1):
            assert await asyncio.gather(*(get(client, "quay.io") for _ in range(5))) == [b"{}"] * 5
