"""Connections in the log: those to which something happened before a request, and those without one."""

from __future__ import annotations

import time

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import ExchangeEnded, FirstRequestReceived, TimelineEvent
from brokenreg.wire.connection_events import ConnectionEvent
from brokenreg.wire.inbound_connection import InboundConnection


class ConnectionRecorder:
    """The witness of a door: writes exchanges of endpoint `connect`.

    Such an exchange ends with the first request, which has its own, or with the connection. A connection of
    which there is nothing to tell but its requests has none.
    """

    def __init__(self, log: TrafficLog, origin: Origin = Origin.REGISTRY) -> None:
        self._log = log
        self._origin = origin
        self._open: dict[InboundConnection, Exchange] = {}

    def exchange(self, arrival: InboundConnection) -> Exchange:
        """What a rule may match; not in the log yet, and without a number."""
        return Exchange(
            id=0,
            method="",
            path="",
            query="",
            http_version="",
            scheme="https" if arrival.over_tls else "http",
            client=arrival.client,
            target=Target(Endpoint.CONNECT),
            started=arrival.started,
            origin=self._origin,
        )

    def open(self, arrival: InboundConnection, exchange: Exchange) -> None:
        """Log a connection from now on: there is something to tell."""
        exchange.id = self._log.next_id()
        self._open[arrival] = exchange
        self._log.opened(exchange)

    def noted(self, arrival: InboundConnection, event: ConnectionEvent) -> None:
        exchange = self._open.get(arrival)
        if exchange is not None:
            exchange.add(event, time.time())
            self._log.changed(exchange)

    def used(self, arrival: InboundConnection) -> None:
        exchange = self._open.pop(arrival, None)
        if exchange is not None:
            self._close(exchange, Ended.COMPLETE, FirstRequestReceived())

    def ended(self, arrival: InboundConnection) -> None:
        exchange = self._open.pop(arrival, None)
        if exchange is None:
            if arrival.has_request:
                return
            exchange = self.exchange(arrival)
            exchange.id = self._log.next_id()
            for event, when in arrival.events:
                exchange.add(event, when)
            self._log.opened(exchange)
        if arrival.answered:
            exchange.status = 400
        self._close(exchange, _how(arrival), ExchangeEnded())

    def _close(self, exchange: Exchange, ended: Ended, event: TimelineEvent) -> None:
        exchange.ended = ended
        exchange.add(event, time.time())
        self._log.closed(exchange)


def _how(arrival: InboundConnection) -> Ended:
    if arrival.answered:
        return Ended.COMPLETE
    return Ended.ABORTED if arrival.is_cut else Ended.DISCONNECTED
