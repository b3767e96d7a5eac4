"""Connections that are served although the decision about them took a while.

A listening socket cannot return them from `accept`, because asyncio has already continued. So asyncio also
accepts from a socket of this module. It is one end of a pair: a byte from the other end says that a
connection waits.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Any

from brokenreg.listening.inbound_connection import INBOUND, InboundConnection

_WAITS = b"\0"


class DecidedConnections(socket.socket):
    """A socket from which asyncio accepts the connections that were added."""

    def __init__(self) -> None:
        own, self._other = socket.socketpair()
        super().__init__(own.family, own.type, own.proto, fileno=own.detach())
        self._other.setblocking(False)
        self._waiting: deque[tuple[socket.socket, Any, InboundConnection]] = deque()

    def add(self, client: socket.socket, address: Any, inbound: InboundConnection) -> None:
        """Let asyncio accept a connection soon. Close it if asyncio accepts no more connections."""
        if self.fileno() < 0:
            client.close()
            return
        self._waiting.append((client, address, inbound))
        with contextlib.suppress(BlockingIOError):  # asyncio will accept all that wait
            self._other.send(_WAITS)

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing: asyncio calls this before it accepts."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection. Raise `BlockingIOError` if none waits."""
        with contextlib.suppress(BlockingIOError):
            self.recv(len(_WAITS))
        if not self._waiting:
            raise BlockingIOError
        client, address, inbound = self._waiting.popleft()
        INBOUND.set(inbound)
        return client, address

    def close(self) -> None:
        super().close()
        self._other.close()
        while self._waiting:
            client, _, _ = self._waiting.popleft()
            client.close()
