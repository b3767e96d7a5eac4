"""A listening socket that decides about each connection before it is served.

asyncio calls a socket's `accept` until it raises `BlockingIOError`, and creates a task for each connection.
Rejected connections are not passed to asyncio. Each has a task of this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from typing import Any

from brokenreg.http.asgi import End
from brokenreg.http.authority import authority
from brokenreg.listening.accept_pause import OUT_OF_RESOURCES, AcceptPausedError, DescriptorBudget
from brokenreg.listening.connection_events import (
    ClosedByShutdown,
    ConnectionCut,
    ConnectionReset,
    ConnectionStalled,
    ReplySent,
)
from brokenreg.listening.decided_connections import DecidedConnections
from brokenreg.listening.inbound_connection import (
    INBOUND,
    AcceptedConnections,
    Deciding,
    InboundConnection,
    Reject,
    UseCertificate,
)

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes `close` send RST instead of FIN."""

_MAX_REJECTED = 64
"""Maximum number of connections that are rejected before other tasks run."""

_LINGER = 2.0
"""Seconds in which a client must close its side after our FIN."""

_PATIENCE = 10.0
"""Seconds in which a client must send something. After that, the reply is sent anyway."""

_READ_SIZE = 64 * 1024

_BUDGET = DescriptorBudget()
"""All listeners share one, because the limit applies to the process."""


class ListenSocket(socket.socket):
    """A listening socket. `accepted` has its connections and the policy for new ones.

    If it `uses_reserve`, it still accepts connections when other listeners pause (`DescriptorBudget.check`).
    """

    def __init__(
        self, family: int, kind: int, protocol: int, *, over_tls: bool, uses_reserve: bool = False
    ) -> None:
        super().__init__(family, kind, protocol)
        self.accepted = AcceptedConnections()
        self._decided: DecidedConnections | None = None
        self._over_tls = over_tls
        self._uses_reserve = uses_reserve
        self._is_pausing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def use(self, accepted: AcceptedConnections) -> None:
        """Use the policy for new connections in `accepted`, to which they are added."""
        self.accepted = accepted
        if accepted.takes_time:
            self._decided = DecidedConnections()

    @property
    def sockets(self) -> list[socket.socket]:
        """Return the sockets from which asyncio accepts connections."""
        return [self] if self._decided is None else [self, self._decided]

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that is not rejected. Raise `BlockingIOError` if there is none now.

        Raise `AcceptPausedError` if descriptors are scarce: asyncio then waits for 1 s.
        """
        for _ in range(_MAX_REJECTED):
            plain, address = self._next()
            client = _ClientSocket(self.family, self.type, self.proto, fileno=plain.detach())
            try:
                is_served = self._admit(client, address)
            except BaseException:
                client.close()
                raise
            if is_served:
                return client, address
        raise BlockingIOError  # asyncio calls again, because the socket stays readable

    def _next(self) -> tuple[socket.socket, Any]:
        """Return the next connection. Raise `BlockingIOError` or `AcceptPausedError`."""
        if self._is_pausing:  # asyncio has paused this listener, but its current loop of calls continues
            self._is_pausing = False
            raise BlockingIOError
        try:
            _BUDGET.check(self.fileno(), uses_reserve=self._uses_reserve)
            plain, address = super().accept()
        except (BlockingIOError, AcceptPausedError) as error:
            self._is_pausing = isinstance(error, AcceptPausedError)
            raise
        except OSError as error:
            if error.errno not in OUT_OF_RESOURCES:
                # The client's network failed before it was accepted (accept(2), "Error handling").
                raise BlockingIOError from None
            _BUDGET.note_failure(error)
            self._is_pausing = True
            raise AcceptPausedError from None
        if not address:  # macOS: the client disconnected before it was accepted
            plain.close()
            raise BlockingIOError
        _BUDGET.note_accepted(plain.fileno())
        return plain, address

    def _admit(self, client: _ClientSocket, address: Any) -> bool:
        """Apply the accept policy, and return whether the connection is served immediately."""
        inbound = InboundConnection(
            self.accepted,
            _address(address),
            over_tls=self._over_tls,
            cut=client.cut,
            send_last=client.send_last,
        )
        client.inbound = inbound
        self.accepted.connections.add(inbound)
        policy = self.accepted.accept_policy
        decision = policy(inbound) if policy is not None else None
        if isinstance(decision, Reject):
            self._begin(client, inbound, _reject(client, inbound, decision))
            inbound.unfinished = None
            return False
        if callable(decision):
            self._begin(client, inbound, self._decide(client, address, inbound, decision))
            return False
        if isinstance(decision, UseCertificate):
            inbound.context = decision.context
        INBOUND.set(inbound)
        return True

    async def rejections_ended(self) -> None:
        """Wait until all rejected connections are closed, and all others are decided."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _decide(
        self, client: _ClientSocket, address: Any, inbound: InboundConnection, deciding: Deciding
    ) -> None:
        """Wait for a decision, and carry it out."""
        try:
            decision = await deciding()
        except asyncio.CancelledError:  # the server is shutting down
            inbound.is_cut = True
            inbound.add(ClosedByShutdown())
            raise
        if self._decided is None:
            raise TypeError("a policy that takes time must say so")
        if isinstance(decision, Reject):
            inbound.unfinished = None
            await _reject(client, inbound, decision)
            return
        if isinstance(decision, UseCertificate):
            inbound.context = decision.context
        inbound.cut = client.cut
        self._decided.add(client, address, inbound)

    def _begin(
        self, client: _ClientSocket, inbound: InboundConnection, work: Coroutine[Any, Any, None]
    ) -> None:
        """Begin a task for a connection that is not served, or not yet."""
        client.setblocking(False)
        task = asyncio.get_running_loop().create_task(work, name=f"connection of {inbound.client}")
        inbound.cut = task.cancel
        task.add_done_callback(lambda ended: client.close() if ended.cancelled() else None)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _ClientSocket(socket.socket):
    """The socket of a connection, which reports that it is closed: every end of a connection closes it."""

    inbound: InboundConnection | None = None

    def close(self) -> None:
        super().close()
        inbound, self.inbound = self.inbound, None
        if inbound is not None:
            inbound.end()

    def cut(self) -> None:
        """End the connection, so that reads from it end."""
        if self.inbound is not None:
            self.inbound.is_cut = True
        with contextlib.suppress(OSError):  # the client has already closed it
            self.shutdown(socket.SHUT_RDWR)

    def send_last(self, data: bytes) -> None:
        """Send the last bytes of the connection. They are few, so they fit in its buffer."""
        with contextlib.suppress(OSError):  # the client has already closed it
            self.send(data)


async def _reject(client: _ClientSocket, inbound: InboundConnection, decision: Reject) -> None:
    try:
        if decision.reply:
            await _reply(client, inbound, decision.reply)
        if decision.silence != 0.0:
            inbound.add(ConnectionStalled())
            if await _is_closed_within(client, decision.silence):
                return
        inbound.is_cut = True
        inbound.add(ConnectionCut(decision.end))
        if decision.end is End.RST:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        else:
            # Closing the socket with unread bytes would send RST.
            client.shutdown(socket.SHUT_WR)
            await _is_closed_within(client, _LINGER)
    except asyncio.CancelledError:  # the server is shutting down
        inbound.is_cut = True
        inbound.add(ClosedByShutdown())
    except OSError:
        inbound.add(ConnectionReset())
    finally:
        client.close()


async def _reply(client: _ClientSocket, inbound: InboundConnection, reply: bytes) -> None:
    """Send the reply once the client has sent something, or after `_PATIENCE`."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_recv(client, _READ_SIZE)
    await loop.sock_sendall(client, reply)
    inbound.add(ReplySent(len(reply)))


async def _is_closed_within(client: _ClientSocket, seconds: float | None) -> bool:
    """Return whether the client closes its side within that time. Bytes that it sends are dropped."""
    try:
        async with asyncio.timeout(seconds):
            await _closed(client)
    except TimeoutError:
        return False
    return True


async def _closed(client: _ClientSocket) -> None:
    """Wait until the client has closed its side. Raise `OSError` if it resets."""
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(client, _READ_SIZE):  # noqa: ASYNC110
        await asyncio.sleep(0)  # a client that never stops sending must not starve others


def _address(address: Any) -> str:
    host, port, *_ = address
    return authority(host, port)
