"""The listening socket: asks the doorman about each connection, and carries out what he says.

asyncio takes connections from a socket's `accept` until it raises `BlockingIOError`, and makes a task for
each. A connection that is turned away never gets so far: it has a task of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

from brokenreg.http.authority import authority
from brokenreg.wire.asgi import End
from brokenreg.wire.connection_events import (
    ClosedByShutdown,
    ConnectionCut,
    ConnectionReset,
    ConnectionStalled,
    ReplySent,
)
from brokenreg.wire.inbound_connection import (
    ARRIVAL,
    AcceptedConnections,
    InboundConnection,
    Reject,
    UseCertificate,
)

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER that makes `close` send RST in place of FIN."""

_AT_ONCE = 64
"""Connections that are turned away before the loop gets a turn."""

_LINGER = 2.0
"""Seconds that a client has to close its side after our FIN."""

_PATIENCE = 10.0
"""Seconds that a client has to speak first, before it is answered all the same."""

_READ_SIZE = 64 * 1024


class ListenSocket(socket.socket):
    """A listening socket; `door` says who stands there."""

    def __init__(self, family: int, kind: int, protocol: int, *, over_tls: bool) -> None:
        super().__init__(family, kind, protocol)
        self.door = AcceptedConnections()
        self._over_tls = over_tls
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that is served. Raise `BlockingIOError` if there is none for now."""
        for _ in range(_AT_ONCE):
            taken, address = super().accept()
            accepted = _Accepted(self.family, self.type, self.proto, fileno=taken.detach())
            try:
                is_served = self._admit(accepted, _spell(address))
            except BaseException:
                accepted.close()
                raise
            if is_served:
                return accepted, address
        raise BlockingIOError  # asyncio comes again: the others make the socket readable still

    def _admit(self, accepted: _Accepted, client: str) -> bool:
        """Ask the doorman; whether the connection is served."""
        arrival = InboundConnection(
            self.door, client, over_tls=self._over_tls, cut=accepted.cut, say=accepted.say
        )
        accepted.arrival = arrival
        self.door.connections.add(arrival)
        decision = self.door.accept_policy(arrival) if self.door.accept_policy is not None else None
        if isinstance(decision, Reject):
            self._turn_away(accepted, arrival, decision)
            return False
        if isinstance(decision, UseCertificate):
            arrival.context = decision.context
        ARRIVAL.set(arrival)
        return True

    async def turned_away(self) -> None:
        """Return once everybody who was turned away is gone."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _turn_away(self, accepted: _Accepted, arrival: InboundConnection, decision: Reject) -> None:
        accepted.setblocking(False)
        task = asyncio.get_running_loop().create_task(
            _turn_away(accepted, arrival, decision), name=f"turn {arrival.client} away"
        )
        arrival.cut = task.cancel
        arrival.unfinished = None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Accepted(socket.socket):
    """A connection's socket, which tells when it is closed; nothing else sees every end of it."""

    arrival: InboundConnection | None = None

    def close(self) -> None:
        super().close()
        arrival, self.arrival = self.arrival, None
        if arrival is not None:
            arrival.end()

    def cut(self) -> None:
        """Have whoever reads from it come to the end."""
        if self.arrival is not None:
            self.arrival.is_cut = True
        with contextlib.suppress(OSError):  # the client was faster
            self.shutdown(socket.SHUT_RDWR)

    def say(self, words: bytes) -> None:
        """Send last words; a few bytes always fit."""
        with contextlib.suppress(OSError):  # nobody hears them
            self.send(words)


async def _turn_away(accepted: _Accepted, arrival: InboundConnection, decision: Reject) -> None:
    try:
        if decision.reply:
            await _speak(accepted, arrival, decision.reply)
        if decision.silence != 0.0:
            arrival.add(ConnectionStalled())
            if await _left_within(accepted, decision.silence):
                return
        arrival.is_cut = True
        arrival.add(ConnectionCut(decision.end))
        if decision.end is End.RST:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        else:
            # A close with unread bytes would be a reset.
            accepted.shutdown(socket.SHUT_WR)
            await _left_within(accepted, _LINGER)
    except asyncio.CancelledError:  # we stop
        arrival.is_cut = True
        arrival.add(ClosedByShutdown())
    except OSError:
        arrival.add(ConnectionReset())
    finally:
        accepted.close()


async def _speak(accepted: _Accepted, arrival: InboundConnection, reply: bytes) -> None:
    """Answer the first words of the client, or its silence."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_recv(accepted, _READ_SIZE)
    await loop.sock_sendall(accepted, reply)
    arrival.add(ReplySent(len(reply)))


async def _left_within(accepted: _Accepted, seconds: float | None) -> bool:
    """Whether the client closes its side within that time; what it says is read and forgotten."""
    try:
        async with asyncio.timeout(seconds):
            await _left(accepted)
    except TimeoutError:
        return False
    return True


async def _left(accepted: _Accepted) -> None:
    """Return once the client has closed its side. Raise `OSError` if it resets."""
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(accepted, _READ_SIZE):  # noqa: ASYNC110
        await asyncio.sleep(0)  # a client that never stops talking is not alone here


def _spell(address: Any) -> str:
    host, port, *_ = address
    return authority(host, port)
