"""Logs connections that had an event before their first request, or that had no request."""

from __future__ import annotations

import time

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded, FirstRequestReceived, TimelineEvent
from brokenreg.wire.connection_events import ConnectionEvent
from brokenreg.wire.inbound_connection import InboundConnection


class ConnectionRecorder:
    """Observes the connections of a listener and logs some of them as exchanges of endpoint `connect`.

    Such an exchange ends with the first request, which has its own exchange, or with the connection.
    """

    def __init__(self, log: TrafficLog, origin: Origin = Origin.REGISTRY) -> None:
        self._log = log
        self._origin = origin
        self._open: dict[InboundConnection, Exchange] = {}

    def exchange(self, connection: InboundConnection) -> Exchange:
        """Return an exchange for rules to match; it has no id and is not in the log."""
        return Exchange(
            id=0,
            method="",
            path="",
            query="",
            http_version="",
            scheme="https" if connection.over_tls else "http",
            client=connection.client,
            target=Target(Endpoint.CONNECT),
            started=connection.started,
            origin=self._origin,
        )

    def open(self, connection: InboundConnection, exchange: Exchange) -> None:
        """Add the exchange of a connection to the log."""
        exchange.id = self._log.next_id()
        self._open[connection] = exchange
        self._log.opened(exchange)

    def noted(self, connection: InboundConnection, event: ConnectionEvent) -> None:
        exchange = self._open.get(connection)
        if exchange is not None:
            exchange.add(event, time.time())
            self._log.changed(exchange)

    def used(self, connection: InboundConnection) -> None:
        exchange = self._open.pop(connection, None)
        if exchange is not None:
            self._close(exchange, Ended.COMPLETE, FirstRequestReceived())

    def ended(self, connection: InboundConnection) -> None:
        exchange = self._open.pop(connection, None)
        if exchange is None:
            if connection.has_request:
                return
            exchange = self.exchange(connection)
            exchange.id = self._log.next_id()
            for event, when in connection.events:
                exchange.add(event, when)
            self._log.opened(exchange)
        if connection.answered:
            exchange.status = 400
        self._close(exchange, _ended(connection), ExchangeEnded())

    def _close(self, exchange: Exchange, ended: Ended, event: TimelineEvent) -> None:
        exchange.ended = ended
        exchange.add(event, time.time())
        self._log.closed(exchange)


def _ended(connection: InboundConnection) -> Ended:
    if connection.answered:
        return Ended.COMPLETE
    return Ended.ABORTED if connection.is_cut else Ended.DISCONNECTED
