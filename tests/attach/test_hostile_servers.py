"""What a server sends that is no brokenreg: the client ends with a sentence, and within its limits."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from wsproto.utilities import generate_accept_token

from brokenreg.attach.web_socket import WebSocket


@contextlib.asynccontextmanager
async def connected_to(*frames: bytes) -> AsyncIterator[WebSocket]:
    """A WebSocket to a server that sends frames, and then nothing."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
        key = head[head.lower().index(key) :][: len(key)]
        accept = (
            b"HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n\r\n"
        )
        writer.write(accept % generate_accept_token(key))
        with contextlib.suppress(ConnectionError):
            for frame in frames:
                writer.write(frame)
                await writer.drain()
            await reader.read()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with WebSocket.connected(url, "/v1/panel", {}, None) as socket:
            yield socket


def text(data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        return bytes([0x81, size]) + data
    return (
        struct.pack("!BBH", 0x81, 126, size) if size < 1 << 16 else struct.pack("!BBQ", 0x81, 127, size)
    ) + data


async def received(socket: WebSocket) -> list[bytes | dict[str, Any]]:
    async with asyncio.timeout(10):
        return [message async for message in socket.messages()]


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([text(b"[" * 100_000)], "not JSON"),
        ([text(b'{"type":1' + b"0" * 5000 + b"}")], "not JSON"),
        ([text(b"[1]")], "not JSON"),
        ([text(b'"' + b"x" * 1024 * 1024)], "too long"),
        ([b"\x01\x00", b"\x00\x00" * 100_000], "too long"),
        ([b"\x01\x00", b"\x00\x01x" * 100_000], "too long"),
    ],
)
async def test_messages_that_are_not_valid(frames: list[bytes], said: str) -> None:
    async with connected_to(*frames) as socket:
        with pytest.raises(ConnectionError, match=said):
            await received(socket)


@pytest.mark.parametrize("frame", [text(b"\xff"), b"\x83\x00", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_frames_that_are_not_valid_end_the_connection(frame: bytes) -> None:
    async with connected_to(frame) as socket:
        assert await received(socket) == []
