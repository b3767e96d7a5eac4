"""`Wire`: the class that Hypercorn uses for each connection instead of its own. It chooses the protocol.

`hypercorn.asyncio.run` looks up the name `TCPServer` for each new connection, and finds `Wire`. This is the
only name of Hypercorn that is replaced.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import cast

from hypercorn.asyncio import run as hypercorn_run
from hypercorn.asyncio.tcp_server import TCPServer

from brokenreg.listening.inbound_connection import INBOUND
from brokenreg.wire.application import Application
from brokenreg.wire.connection import Next
from brokenreg.wire.http1 import HTTP1
from brokenreg.wire.http2 import HTTP2

_WAITING = 64 * 1024

_PIECE = 2048
"""Bytes of a WebSocket that are parsed together. They can be 341 frames, which take about 8 ms."""


class Wire(TCPServer):
    """One accepted connection, from the end of its TLS handshake until it is closed."""

    async def run(self) -> None:
        """Serve the connection with one protocol after the other, until it has ended."""
        INBOUND.get().is_served = True
        transport = cast(asyncio.Transport, self.writer.transport)
        tls = transport.get_extra_info("ssl_object")
        is_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        kind: type[HTTP1 | HTTP2] = HTTP2 if is_http2 else HTTP1
        reader = transport.get_protocol()
        data = bytes(self.reader._buffer)  # type: ignore[attr-defined]  # bytes that arrived before this task began
        self.reader._buffer.clear()  # type: ignore[attr-defined]
        while True:
            following, data = await self._serve(kind, data)
            if following is Next.HTTP2:
                kind = HTTP2
            elif following is Next.WEBSOCKET:
                transport.set_protocol(reader)
                _limit_waiting(transport)
                self.reader.feed_data(_without_extensions(data))
                transport.resume_reading()
                self.reader = cast(asyncio.StreamReader, _Pieces(self.reader))
                await super().run()
                return
            else:
                return

    async def _serve(self, kind: type[HTTP1 | HTTP2], data: bytes) -> tuple[Next | None, bytes]:
        """Serve with one protocol, beginning with `data`. Return the next protocol and its first bytes."""
        inbound = INBOUND.get()
        transport = cast(asyncio.Transport, self.writer.transport)
        connection = kind(cast(Application, self.app.app), inbound, transport)  # type: ignore[attr-defined]  # the ASGIWrapper that Hypercorn makes
        inbound.cut, inbound.finish = connection.abort, connection.finish
        transport.set_protocol(connection)
        if self.context.terminated.is_set():
            connection.finish()
        if transport.is_closing():
            return None, b""
        transport.resume_reading()
        if data:
            connection.data_received(data)
        if self.reader.at_eof() and not connection.eof_received():
            connection.close_transport()
        following = await connection.ended
        while connection.tasks:
            await asyncio.wait(connection.tasks)
        return following, bytes(connection.leftover)


class _Pieces:
    """The reader of a WebSocket for Hypercorn, which would parse 64 KiB of tiny frames without a break."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.at_eof = reader.at_eof

    async def read(self, most: int) -> bytes:
        """Return the next bytes after other tasks have run."""
        await asyncio.sleep(0)
        return await self._reader.read(min(most, _PIECE))


def _without_extensions(data: bytes) -> bytes:
    """Remove the extensions that a WebSocket's handshake offers.

    Hypercorn would accept compression, and decompress 64 KiB to 64 MiB.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return re.sub(rb"\r\nsec-websocket-extensions:[^\r\n]*", b"", head, flags=re.IGNORECASE) + end + rest


def _limit_waiting(transport: asyncio.Transport) -> None:
    """Limit the bytes that wait in the kernel for a slow client of a WebSocket: they would become old."""
    kernel = transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING)
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # to notice that the client is gone
    transport.set_write_buffer_limits(_WAITING)


def install() -> None:
    """Replace Hypercorn's connection class with `Wire`."""
    setattr(hypercorn_run, "TCPServer", Wire)  # noqa: B010 - assigning to another module's class
