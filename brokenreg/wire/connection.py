"""`Connection`: the common part of HTTP/1.1 and HTTP/2 for one TCP connection."""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

from brokenreg.bulk.lent_socket import LentSocket, lend
from brokenreg.http.asgi import ZERO_COPY, ClientDisconnectedError, Scope
from brokenreg.listening.inbound_connection import InboundConnection


class Next(Enum):
    """The protocol that a connection continues with, after HTTP/1.1 has read its first bytes."""

    HTTP2 = auto()
    """HTTP/2 with prior knowledge (RFC 9113, section 3.3)."""

    WEBSOCKET = auto()


class Connection(asyncio.Protocol):
    """One TCP connection, after its TLS handshake.

    asyncio calls the methods of `asyncio.Protocol`. They also call those of the StreamReaderProtocol that
    this protocol replaces, because Hypercorn and asyncio's server wait for them.
    """

    def __init__(self, inbound: InboundConnection, transport: asyncio.Transport) -> None:
        self.inbound = inbound
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.scope: Scope = {
            "type": "http",
            "scheme": "https" if inbound.over_tls else "http",
            "client": _address(transport.get_extra_info("peername")),
            "server": _address(transport.get_extra_info("sockname")),
            "extensions": {ZERO_COPY: {}},
        }
        """The entries that the scopes of all requests share."""
        self.gone = asyncio.Event()
        """Set when the client has disconnected, or when brokenreg has cut the connection."""
        self.is_cut = False
        """True if brokenreg has cut the connection. Nothing more is sent."""
        self.ended: asyncio.Future[Next | None] = self.loop.create_future()
        """Done when the connection is closed, or when another protocol takes over (see `leftover`)."""
        self.leftover = bytearray()
        """The bytes that were already read, for the protocol that takes over."""
        self.tasks: set[asyncio.Task[None]] = set()
        """The tasks that respond to requests."""
        self._replaced = transport.get_protocol()
        self._room: asyncio.Event | None = None
        """Set when the transport accepts more bytes. None while it does."""

    # Called by asyncio

    def pause_writing(self) -> None:
        self._room = asyncio.Event()
        self._replaced.pause_writing()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
        self._replaced.resume_writing()

    def eof_received(self) -> bool:
        """Note that the client has closed its sending side. Return whether ours stays open."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.note_disconnect()
        if not self.ended.done():
            self.ended.set_result(None)
        if error is not None:
            error.__traceback__ = None  # the replaced protocol keeps the error, and its frames keep buffers
        self._replaced.connection_lost(error)

    # For the protocols

    def note_disconnect(self) -> None:
        """Note that the client has disconnected, so that all work that sends to it ends."""
        self.gone.set()
        if self._room is not None:
            self._room.set()

    @property
    def has_room(self) -> bool:
        """Whether the transport accepts more bytes."""
        return self._room is None

    async def drain(self) -> None:
        """Wait until the transport accepts more bytes. Raise `ClientDisconnectedError`.

        This does not wait while the kernel accepts everything, so let other tasks run after a large write.
        """
        if self._room is not None:
            await self._room.wait()
        if self.gone.is_set():
            raise ClientDisconnectedError

    def close_transport(self) -> None:
        """Close the transport after everything was sent, unless it is already closing.

        After a second `close`, asyncio's transport for TLS cannot report how many bytes it has not sent.
        """
        if not self.transport.is_closing():
            self.transport.close()

    def lend(self, *, to_receive: bool) -> LentSocket:
        """Lend the socket to a thread. Raise `ClientDisconnectedError` if it is already closed."""
        tls = getattr(self.transport, "_ssl_protocol", None)
        if self.transport.is_closing() or (tls is not None and tls._transport is None):
            self.note_disconnect()
            raise ClientDisconnectedError
        return lend(self.transport, to_receive=to_receive)

    # For all other code

    @property
    def unsent(self) -> int:
        """The number of bytes that were written but not sent yet."""
        return self.transport.get_write_buffer_size()

    def hand_over(self, protocol: Next, data: bytes) -> None:
        """Let another protocol continue, with the bytes that were read, `data`, and all later bytes."""
        self.transport.pause_reading()
        self.leftover += data
        self.ended.set_result(protocol)

    def finish(self) -> None:
        """Accept no more requests, and close after the responses in flight: the server is shutting down."""
        raise NotImplementedError

    def mute(self) -> None:
        """Send nothing more, because the connection is being cut."""
        self.is_cut = True
        self.note_disconnect()

    def abort(self) -> None:
        """Cut the connection immediately, even if responses are in flight."""
        self.mute()
        self.transport.abort()


def _address(name: Any) -> tuple[str, int] | None:
    """Return the host and port of a socket's name, or None if the client has already disconnected."""
    return (name[0], name[1]) if isinstance(name, tuple) else None
