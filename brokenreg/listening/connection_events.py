"""The events of a connection before its first request. Their text is in traffic/timeline_text.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brokenreg.http.asgi import End


@dataclass(frozen=True, slots=True)
class TLSHandshakeCompleted:
    """The TLS handshake succeeded. `version` is for example `TLSv1.3`."""

    kind: ClassVar = "tls-handshake"
    version: str


@dataclass(frozen=True, slots=True)
class TLSHandshakeFailed:
    """The TLS handshake failed. `reason` is the alert that the client sent, or the error of OpenSSL."""

    kind: ClassVar = "tls-handshake-failed"
    reason: str
    by_client: bool


@dataclass(frozen=True, slots=True)
class TLSHandshakeTimedOut:
    """The client did not complete the TLS handshake in time."""

    kind: ClassVar = "tls-handshake-timeout"
    seconds: float


@dataclass(frozen=True, slots=True)
class ClosedBeforeTLSHello:
    """The client closed the connection before it sent anything."""

    kind: ClassVar = "closed-before-tls-hello"


@dataclass(frozen=True, slots=True)
class ClosedInTLSHandshake:
    """The client closed the connection during the TLS handshake."""

    kind: ClassVar = "closed-in-tls-handshake"


@dataclass(frozen=True, slots=True)
class TLSHelloOnPlainPort:
    """The client began a TLS handshake on a port without TLS."""

    kind: ClassVar = "tls-on-plain-port"


@dataclass(frozen=True, slots=True)
class MalformedRequest:
    """A malformed HTTP/2 request was refused. `reason` says what is wrong with it."""

    kind: ClassVar = "malformed-request"
    reason: str


@dataclass(frozen=True, slots=True)
class ReplySent:
    """Bytes that are not an HTTP response were sent to a rejected connection."""

    kind: ClassVar = "reply-sent"
    size: int


@dataclass(frozen=True, slots=True)
class ConnectionStalled:
    """A rejected connection stays open, but gets no more bytes."""

    kind: ClassVar = "connection-stalled"


@dataclass(frozen=True, slots=True)
class ConnectionCut:
    """brokenreg ended the connection or the HTTP/2 stream."""

    kind: ClassVar = "cut"
    end: End


@dataclass(frozen=True, slots=True)
class ConnectionReset:
    """The client reset the connection (TCP RST)."""

    kind: ClassVar = "reset-by-client"


@dataclass(frozen=True, slots=True)
class ClosedByShutdown:
    """brokenreg closed a stalled connection because it is shutting down."""

    kind: ClassVar = "closed-by-shutdown"


ConnectionEvent = (
    TLSHandshakeCompleted
    | TLSHandshakeFailed
    | TLSHandshakeTimedOut
    | ClosedBeforeTLSHello
    | ClosedInTLSHandshake
    | TLSHelloOnPlainPort
    | MalformedRequest
    | ReplySent
    | ConnectionStalled
    | ConnectionCut
    | ConnectionReset
    | ClosedByShutdown
)
