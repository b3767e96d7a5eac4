"""Hypercorn takes over a connection of our HTTP/1.1 that becomes a WebSocket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets

from brokenreg.concurrency import background
from brokenreg.http.asgi import Receive, Scope, Send
from brokenreg.listening.listen_socket import ListenSocket
from brokenreg.wire import tcp_server
from brokenreg.wire.application import Application
from tests.wire.http1_serving import GET, respond

UPGRADE = (
    b"GET /events HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@asynccontextmanager
async def connected(
    application: Application,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with that application."""
    bound = ListenSocket(socket.AF_INET, socket.SOCK_STREAM, 0, over_tls=False)
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    bound.setblocking(False)
    bound.accepted = application.accepted
    config = Config()
    config.loglevel = "WARNING"
    config.create_sockets = lambda: Sockets([], [bound], [])  # type: ignore[method-assign]  # bound already
    tcp_server.install()
    stop = asyncio.Event()
    server = asyncio.create_task(serve(application, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]  # ASGI's own types
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    yield reader, writer
    writer.close()
    stop.set()
    await server


async def test_a_websocket_after_a_request() -> None:
    messages: list[Any] = []

    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        messages.append(scope["path"])
        messages.append((await receive())["type"])
        await send({"type": "websocket.accept"})
        messages.append((await receive())["text"])
        await send({"type": "websocket.send", "text": "hi"})

    async with connected(Application(respond, websocket=websocket)) as (reader, writer):
        writer.write(GET % b"/a" + UPGRADE)
        assert (await reader.readuntil(b"\r\n\r\n/a")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(b"\x81\x85\0\0\0\0hello")
        assert await reader.readexactly(4) == b"\x81\x02hi"
    assert messages == ["/events", "websocket.connect", "hello"]


async def test_tiny_frames_do_not_block_the_event_loop() -> None:
    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    longest = 0.0

    async def measure() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with connected(Application(respond, websocket=websocket)) as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 40_000 + b"\x80\x82\0\0\0\0hi")
        async with background(measure()):
            assert await reader.readexactly(4) == b"\x81\x02hi"
    assert longest < 0.03, "64 KiB of them would take 0.08 s of the processor"
