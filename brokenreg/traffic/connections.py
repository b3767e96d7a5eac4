"""Logs connections that have an event before their first request, or that have no request."""

from __future__ import annotations

import time

from brokenreg.listening.connection_events import (
    ClosedBeforeTLSHello,
    ClosedInTLSHandshake,
    ConnectionEvent,
    MalformedRequest,
    TLSHandshakeCompleted,
    TLSHandshakeFailed,
    TLSHandshakeTimedOut,
    TLSHelloOnPlainPort,
)
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import (
    EXCHANGE_ENDED,
    ExchangeEnded,
    FirstRequestReceived,
    TimelineEvent,
)

_FAILED_HANDSHAKES = (TLSHandshakeFailed, TLSHandshakeTimedOut, ClosedInTLSHandshake)
_IDLE_EVENTS = (ClosedBeforeTLSHello, ExchangeEnded)
"""The only events of a connection on which nothing was sent, for example a test whether the port is open."""


class ConnectionRecorder:
    """Observes the connections of a listener and logs some of them as exchanges of endpoint `connect`.

    Such an exchange ends with the first request, which has its own exchange, or with the connection.
    """

    def __init__(self, log: TrafficLog, origin: Origin = Origin.REGISTRY) -> None:
        self._log = log
        self._origin = origin
        self._open: dict[InboundConnection, Exchange] = {}

    def exchange(self, inbound: InboundConnection) -> Exchange:
        """Return an exchange for rules to match. It has no id and is not in the log."""
        return Exchange(
            id=0,
            method="",
            path="",
            query="",
            http_version="",
            scheme="https" if inbound.over_tls else "http",
            client=inbound.client,
            target=Target(Endpoint.CONNECT),
            started=inbound.started,
            origin=self._origin,
        )

    def open(self, inbound: InboundConnection, exchange: Exchange) -> None:
        """Add the exchange of a connection to the log."""
        exchange.id = self._log.next_id()
        self._open[inbound] = exchange
        self._log.opened(exchange)

    def noted(self, inbound: InboundConnection, event: ConnectionEvent) -> None:
        exchange = self._open.get(inbound)
        if exchange is not None:
            exchange.add(event, time.time())
            self._log.changed(exchange)

    def used(self, inbound: InboundConnection) -> None:
        exchange = self._open.pop(inbound, None)
        if exchange is not None:
            self._close(exchange, Ended.COMPLETE, FirstRequestReceived())

    def ended(self, inbound: InboundConnection) -> None:
        exchange = self._open.pop(inbound, None)
        if exchange is None:
            if inbound.has_request:
                return
            exchange = self.exchange(inbound)
            exchange.id = self._log.next_id()
            for event, when in inbound.events:
                exchange.add(event, when)
            self._log.opened(exchange)
        if inbound.answered:
            exchange.status = 400
        self._close(exchange, _ended(inbound), EXCHANGE_ENDED)

    def _close(self, exchange: Exchange, ended: Ended, event: TimelineEvent) -> None:
        exchange.ended = ended
        exchange.add(event, time.time())
        self._log.closed(exchange)


def no_request_reason(exchange: Exchange) -> str | None:
    """Return why a connection has no request, or None if that is not known."""
    if exchange.timeline.time_of(TLSHelloOnPlainPort) is not None:
        return "TLS on plain port"
    if exchange.timeline.time_of(MalformedRequest) is not None:
        return "malformed HTTP/2 request"
    if exchange.saved is not None and not exchange.saved.has_messages:
        return None  # its file has no timeline
    if any(exchange.timeline.time_of(event) is not None for event in _FAILED_HANDSHAKES):
        return "TLS handshake failed"
    if exchange.faults:
        return None
    if exchange.status == 400:
        return "not HTTP"
    if exchange.ended is not None and exchange.timeline.time_of(TLSHandshakeCompleted) is not None:
        return "TLS handshake only"
    return "idle" if is_idle(exchange) else None


def is_idle(exchange: Exchange) -> bool:
    """Return whether a connection has ended without a byte of the client."""
    is_untouched = all(isinstance(event, _IDLE_EVENTS) for event, _ in exchange.timeline)
    return exchange.ended is Ended.DISCONNECTED and exchange.status is None and is_untouched


def _ended(inbound: InboundConnection) -> Ended:
    if inbound.answered:
        return Ended.COMPLETE
    return Ended.ABORTED if inbound.is_cut else Ended.DISCONNECTED
