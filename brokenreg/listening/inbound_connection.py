"""An accepted TCP connection: its client, the decision about it, and its events before a request."""

from __future__ import annotations

import contextvars
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from brokenreg.http.asgi import End
from brokenreg.listening.connection_events import ClosedBeforeTLSHello, ConnectionEvent, TLSHandshakeTimedOut

HANDSHAKE_PATIENCE = 60.0
"""Seconds that a TLS handshake may take."""

_MAX_EVENTS = 100


@dataclass(frozen=True, slots=True)
class UseCertificate:
    """Serve the connection as usual, but with another TLS context."""

    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not serve the connection: send `reply` after the client has sent bytes, stall, and close it.

    `silence` is how long the connection stalls, in seconds, or None until the client disconnects. `end` is
    `FIN` or `RST`.
    """

    end: End
    reply: bytes = b""
    silence: float | None = 0.0


AcceptDecision = UseCertificate | Reject


class InboundConnection:
    """One connection, from its acceptance until its socket is closed."""

    __slots__ = (
        "_accepted", "answered", "client", "context", "cut", "events", "finish", "has_request", "is_cut",
        "is_served", "over_tls", "send_last", "started", "unfinished",
    )  # fmt: skip

    def __init__(
        self,
        accepted: AcceptedConnections,
        client: str,
        *,
        over_tls: bool,
        cut: Callable[[], object],
        send_last: Callable[[bytes], None],
    ) -> None:
        self._accepted = accepted
        self.client = client
        """The address of the client, `host:port`."""
        self.over_tls = over_tls
        """True if the listener uses TLS."""
        self.cut = cut
        """Ends the connection immediately."""
        self.finish: Callable[[], object] = cut
        """Ends the connection after the responses to its current requests."""
        self.send_last = send_last
        """Sends bytes without TLS or HTTP. They must be the last bytes of the connection."""
        self.started = time.time()
        self.context: ssl.SSLContext | None = None
        """The TLS context in place of the listener's own."""
        self.events: list[tuple[ConnectionEvent, float]] = []
        """The first events before the first request, with their times (seconds since the epoch)."""
        self.has_request = False
        self.is_served = False
        """True after the TLS handshake, when HTTP is served on the connection."""
        self.unfinished: ConnectionEvent | None = ClosedBeforeTLSHello() if over_tls else None
        """The event to record if the connection ends now."""
        self.answered = False
        """True if the client sent bytes that are not a request, and got an error."""
        self.is_cut = False
        """True if brokenreg ended the connection."""

    @property
    def is_stopping(self) -> bool:
        """Return whether the connection closes after its next response."""
        return self._accepted.is_stopping

    def add(self, event: ConnectionEvent) -> None:
        """Record an event before the first request."""
        if len(self.events) < _MAX_EVENTS:  # a client can cause any number of events
            self.events.append((event, time.time()))
        self._accepted.observer.noted(self, event)

    def note_first_request(self) -> None:
        """Note that the first request has arrived."""
        self.has_request = True
        self._accepted.observer.used(self)

    def end(self) -> None:
        """Note that the socket is closed."""
        if self.unfinished is not None:
            if time.time() - self.started >= HANDSHAKE_PATIENCE:
                self.is_cut = True
                self.unfinished = TLSHandshakeTimedOut(HANDSHAKE_PATIENCE)
            self.add(self.unfinished)
        self._accepted.connections.discard(self)
        self._accepted.observer.ended(self)
        # They refer to the connection, whose buffers would otherwise stay until a garbage collection.
        self.cut = self.finish = self.send_last = _do_nothing


def _do_nothing(_: bytes = b"") -> None:
    """Do nothing: the connection has ended."""


class ConnectionObserver(Protocol):
    """Is notified of the events of connections."""

    def noted(self, inbound: InboundConnection, event: ConnectionEvent) -> None:
        """Note an event before the first request."""

    def used(self, inbound: InboundConnection) -> None:
        """Note that the connection's first request has arrived."""

    def ended(self, inbound: InboundConnection) -> None:
        """Note that the connection has ended."""


class NullObserver:
    """Ignores all events."""

    def noted(self, inbound: InboundConnection, event: ConnectionEvent) -> None:
        pass

    def used(self, inbound: InboundConnection) -> None:
        pass

    def ended(self, inbound: InboundConnection) -> None:
        pass


Deciding = Callable[[], Awaitable[AcceptDecision | None]]
"""Decides about a connection, which takes a while. It raises nothing."""

AcceptPolicy = Callable[[InboundConnection], AcceptDecision | Deciding | None]
"""Decides about a connection that was just accepted. None means to serve it as usual."""


@dataclass(slots=True, eq=False)
class AcceptedConnections:
    """The open connections of a listener, with their observer and the policy for new ones.

    `takes_time` says that the policy may return a `Deciding`.
    """

    observer: ConnectionObserver = field(default_factory=NullObserver)
    accept_policy: AcceptPolicy | None = None
    takes_time: bool = False
    connections: set[InboundConnection] = field(default_factory=set)
    is_stopping: bool = False
    """True if the listener is stopping, so that each connection closes after its next response."""


INBOUND: contextvars.ContextVar[InboundConnection] = contextvars.ContextVar("inbound")
"""The connection that the current task serves.

`ListenSocket.accept` sets it. asyncio creates the task of the connection immediately afterwards, so that the
task inherits the value.
"""
