"""Cuts connections with FIN or RST in the middle of a response, with or without TLS's close_notify.

Earlier bytes must arrive first, because a reset discards bytes that the peer's kernel has not acknowledged.
SIOCOUTQ on Linux and SO_NWRITE on macOS return their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys

from brokenreg.http.asgi import End
from brokenreg.listening.listen_socket import RESET_ON_CLOSE
from brokenreg.wire.connection import Connection

_SIOCOUTQ = 0x5411
_SO_NWRITE = 0x1024
"""Constants of Linux and macOS that Python does not have."""

_POLL = 0.001
PATIENCE = 30.0
"""Seconds in which a client must receive the sent bytes. After that, the connection is cut anyway."""

_LINGER = 2.0
"""Seconds in which a client must close its side after our FIN."""


async def cut(connection: Connection, end: End) -> None:
    """End a connection as `end` says, after the client has received all sent bytes."""
    await _wait_until_received(connection)
    is_gone = connection.gone.is_set()
    connection.mute()
    transport = connection.transport
    if is_gone:  # the client has disconnected, and the socket may be closed
        transport.abort()
    elif end is End.RST:
        reset(transport)
    elif end is End.CLOSE_NOTIFY:
        connection.close_transport()
        connection.loop.call_later(PATIENCE, transport.abort)
    else:
        try:
            _socket(connection).shutdown(socket.SHUT_WR)  # bypasses TLS, so that no close_notify is sent
        except OSError:  # the client has already closed it
            transport.abort()
        connection.loop.call_later(_LINGER, transport.abort)


def reset(transport: asyncio.Transport) -> None:
    """Reset a connection immediately (TCP RST)."""
    with contextlib.suppress(OSError):  # the client has already closed it
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()


async def _wait_until_received(connection: Connection) -> None:
    """Wait until the peer has received all sent bytes."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not connection.gone.is_set() and unacknowledged(connection):  # noqa: ASYNC110 - the kernel sends no event
                await asyncio.sleep(_POLL)
    except TimeoutError:
        pass


def unacknowledged(connection: Connection) -> int:
    """Return the number of bytes that the peer has not acknowledged, as far as it is known."""
    transport = connection.transport
    waiting: int = transport.get_write_buffer_size()
    tls = getattr(transport, "_ssl_protocol", None)
    if tls is not None and tls._transport is not None:
        waiting += tls._transport.get_write_buffer_size()
    if transport.get_extra_info("socket") is None:
        return waiting
    connected = _socket(connection)
    if connected.fileno() < 0:  # closed, because the client has disconnected
        return 0
    try:
        return waiting + _unacknowledged_in_kernel(connected)
    except OSError:
        return 0


def _unacknowledged_in_kernel(connected: socket.socket) -> int:
    """Return how many bytes the kernel has sent or will send, and the peer has not acknowledged."""
    if sys.platform == "darwin":
        return connected.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
    return int.from_bytes(fcntl.ioctl(connected.fileno(), _SIOCOUTQ, bytes(4)), sys.byteorder)


def _socket(connection: Connection) -> socket.socket:
    found: socket.socket = connection.transport.get_extra_info("socket")
    return found
