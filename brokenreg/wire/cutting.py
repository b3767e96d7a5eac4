"""Cuts connections and streams: FIN or RST in the middle of a response, RST_STREAM, GOAWAY.

Everything that was sent before arrives first, because a reset discards what the peer's kernel has not
acknowledged. On Linux, SIOCOUTQ tells how much that is; elsewhere only our own buffer is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys

from hypercorn.protocol.h2 import H2Protocol

from brokenreg.concurrency import first_of
from brokenreg.wire.asgi import End
from brokenreg.wire.connection import Wire
from brokenreg.wire.listen_socket import RESET_ON_CLOSE

_SIOCOUTQ = 0x5411
_POLL = 0.001
_PATIENCE = 30.0
"""Seconds that a client has to receive what was sent, before the connection is cut anyway."""

_LINGER = 2.0
"""Seconds that a client has to close its side after our FIN."""


async def cut(wire: Wire, end: End, *, stream_id: int, code: int) -> None:
    """End the connection, or with `End.RESET_STREAM` only the HTTP/2 stream."""
    protocol = wire.protocol.protocol
    if isinstance(protocol, H2Protocol):
        await _drain_stream(wire, protocol, stream_id)
        if end is End.RESET_STREAM:
            await _reset_stream(protocol, stream_id, code)
            return
        if end is End.GOAWAY:
            await _go_away(protocol, stream_id, code)
    await _wait_until_received(wire)
    wire.mute()
    transport = wire.writer.transport
    if end is End.RST:
        with contextlib.suppress(OSError):  # the client has closed it already
            _socket(wire).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
    elif end is End.CLOSE_NOTIFY:
        transport.close()
    else:
        _shut_down(wire)
        asyncio.get_running_loop().call_later(_LINGER, transport.abort)


def _shut_down(wire: Wire) -> None:
    """Send FIN, past TLS, so that no close_notify is sent."""
    try:
        _socket(wire).shutdown(socket.SHUT_WR)
    except OSError:  # the client has closed it already
        wire.writer.transport.abort()


async def _wait_until_received(wire: Wire) -> None:
    """Wait until the peer has received everything that was sent."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while not wire.gone.is_set() and _unacknowledged(wire):  # noqa: ASYNC110 - the kernel sends no event
                await asyncio.sleep(_POLL)
    except TimeoutError:
        pass


def _unacknowledged(wire: Wire) -> int:
    transport = wire.writer.transport
    waiting = transport.get_write_buffer_size()
    tls = getattr(transport, "_ssl_protocol", None)
    if tls is not None and tls._transport is not None:
        waiting += tls._transport.get_write_buffer_size()
    if waiting or sys.platform != "linux":
        return waiting
    descriptor = _socket(wire).fileno()
    if descriptor < 0:  # closed: the client was faster
        return 0
    try:
        answer = fcntl.ioctl(descriptor, _SIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _socket(wire: Wire) -> socket.socket:
    found: socket.socket = wire.writer.get_extra_info("socket")
    return found


async def _drain_stream(wire: Wire, protocol: H2Protocol, stream_id: int) -> None:
    """Wait until flow control has allowed all data of the stream to be sent."""
    buffer = protocol.stream_buffers.get(stream_id)
    if buffer is None or not buffer.buffer:  # `drain` would never return if nothing was sent
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await first_of(buffer.drain(), wire.gone.wait())


async def _reset_stream(protocol: H2Protocol, stream_id: int, code: int) -> None:
    if stream_id in protocol.streams:
        protocol.connection.reset_stream(stream_id, code)
        await protocol._flush()
        await protocol._close_stream(stream_id)


async def _go_away(protocol: H2Protocol, stream_id: int, code: int) -> None:
    """Report that this stream was not processed, but those before it were (RFC 9113, section 6.8)."""
    protocol.connection.close_connection(code, last_stream_id=max(0, stream_id - 2))
    await protocol._flush()
