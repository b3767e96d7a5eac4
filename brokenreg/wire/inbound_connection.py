"""A TCP connection before its first request: who came, what is done with it, and what became of it."""

from __future__ import annotations

import contextvars
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from brokenreg.wire.asgi import End
from brokenreg.wire.connection_events import ClosedBeforeTLSHello, ConnectionEvent, TLSHandshakeTimedOut

HANDSHAKE_PATIENCE = 60.0
"""Seconds that a TLS handshake may take."""


@dataclass(frozen=True, slots=True)
class UseCertificate:
    """Serve the connection as ever, but shake hands by another TLS context."""

    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Reject:
    """Serve it not at all: say `reply` once the client has spoken, keep still, and end.

    `silence` is in seconds; None keeps still until the client disconnects. `end` is `FIN` or `RST`.
    """

    end: End
    reply: bytes = b""
    silence: float | None = 0.0


AcceptDecision = UseCertificate | Reject


class InboundConnection:
    """One connection, from the moment it is accepted until its socket is closed."""

    __slots__ = (
        "answered", "client", "context", "cut", "door", "events", "has_request", "is_cut", "is_served",
        "over_tls", "say", "started", "unfinished",
    )  # fmt: skip

    def __init__(
        self,
        door: AcceptedConnections,
        client: str,
        *,
        over_tls: bool,
        cut: Callable[[], object],
        say: Callable[[bytes], None],
    ) -> None:
        self.door = door
        self.client = client
        """Address of the peer, `host:port`."""
        self.over_tls = over_tls
        """Whether the listener speaks TLS."""
        self.cut = cut
        """Ends it now, whatever it is about."""
        self.say = say
        """Sends bytes past all that serves it; nothing may follow them."""
        self.started = time.time()
        self.context: ssl.SSLContext | None = None
        """The TLS context in place of the listener's own."""
        self.events: list[tuple[ConnectionEvent, float]] = []
        """What happened before the first request, and when (seconds since the epoch)."""
        self.has_request = False
        self.is_served = False
        """HTTP has it: it was not turned away, and a TLS handshake is over."""
        self.unfinished: ConnectionEvent | None = ClosedBeforeTLSHello() if over_tls else None
        """What its end means, if it comes now."""
        self.answered = False
        """What came was no request, and was told so."""
        self.is_cut = False
        """It was we who ended it."""

    def add(self, event: ConnectionEvent) -> None:
        """Record something that happened before the first request."""
        self.events.append((event, time.time()))
        self.door.observer.noted(self, event)

    def note_first_request(self) -> None:
        """Note that the first request has arrived."""
        self.has_request = True
        self.door.observer.used(self)

    def end(self) -> None:
        """Its socket is closed."""
        if self.unfinished is not None:
            if time.time() - self.started >= HANDSHAKE_PATIENCE:
                self.is_cut = True
                self.unfinished = TLSHandshakeTimedOut(HANDSHAKE_PATIENCE)
            self.add(self.unfinished)
        self.door.connections.discard(self)
        self.door.observer.ended(self)
        # They refer back here through the connection, whose buffers would stay until a garbage collection.
        self.cut, self.say = _nothing, _nothing


def _nothing(_: bytes = b"") -> None:
    """Do nothing: the connection has ended."""


class ConnectionObserver(Protocol):
    """Who is told what becomes of connections."""

    def noted(self, arrival: InboundConnection, event: ConnectionEvent) -> None:
        """Something happened before the first request."""

    def used(self, arrival: InboundConnection) -> None:
        """Its first request has come."""

    def ended(self, arrival: InboundConnection) -> None:
        """It is over."""


class Nobody:
    """A witness who does not care."""

    def noted(self, arrival: InboundConnection, event: ConnectionEvent) -> None:
        pass

    def used(self, arrival: InboundConnection) -> None:
        pass

    def ended(self, arrival: InboundConnection) -> None:
        pass


AcceptPolicy = Callable[[InboundConnection], AcceptDecision | None]
"""Decides on a connection that was just accepted; None serves it as ever."""


@dataclass(frozen=True, slots=True)
class AcceptedConnections:
    """Who stands at a listener, and the connections that it has let in."""

    observer: ConnectionObserver = field(default_factory=Nobody)
    accept_policy: AcceptPolicy | None = None
    connections: set[InboundConnection] = field(default_factory=set)


ARRIVAL: contextvars.ContextVar[InboundConnection] = contextvars.ContextVar("arrival")
"""The connection that the current task serves.

Set by `ListenSocket.accept`; asyncio makes the task of each connection right after it, which inherits it.
"""
