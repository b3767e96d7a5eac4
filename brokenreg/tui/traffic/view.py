"""Which exchanges the list shows: those that a filter matches, perhaps without routine. Free of Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.listening.connection_events import TLSHelloOnPlainPort
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.connections import is_idle
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.timeline_events import ExchangeEnded
from brokenreg.tui.traffic.marks import Marks

_REFUSED = (TLSHelloOnPlainPort, ExchangeEnded)
"""The only events of a connection that was refused because the client sent no HTTP. Many try HTTPS first."""


def is_routine(exchange: Exchange) -> bool:
    """Return whether it is a ping, a token or a connection without a request that went as usual.

    An exchange that is in flight, failed, was held, edited or replayed, or to which a fault was applied is
    not routine. The result does not change once an exchange has ended.
    """
    endpoint = exchange.endpoint
    if endpoint is Endpoint.PING:
        return _is_usual(exchange) and _is_good_ping(exchange)
    if endpoint is Endpoint.TOKEN:
        return _is_usual(exchange) and exchange.ended is Ended.COMPLETE and exchange.status == 200
    return endpoint is Endpoint.CONNECT and _is_usual(exchange) and _is_probe(exchange)


def _is_usual(exchange: Exchange) -> bool:
    """Return whether nothing interfered with it. At the second origin, no exchange is routine."""
    return (
        exchange.origin is Origin.REGISTRY
        and exchange.held_since is None
        and not exchange.faults
        and exchange.rule is None
        and exchange.edited is None
        and exchange.replay_of is None
    )


def _is_good_ping(exchange: Exchange) -> bool:
    """Return whether a ping got 200, or the challenge if it had no credentials."""
    if exchange.ended is not Ended.COMPLETE or exchange.method not in ("GET", "HEAD"):
        return False
    if exchange.status == 401:
        is_challenge = bool(exchange.response_header("www-authenticate"))
        return is_challenge and not exchange.request_header("authorization")
    return exchange.status == 200


def _is_probe(exchange: Exchange) -> bool:
    """Return whether a connection was idle, or the client only tried TLS or sent what is not HTTP."""
    if exchange.ended is Ended.COMPLETE and exchange.status == 400:
        return all(isinstance(event, _REFUSED) for event, _ in exchange.timeline)
    return is_idle(exchange)


def everything(exchange: Exchange) -> bool:
    """Match every exchange: the default filter."""
    return True


@dataclass(frozen=True, slots=True)
class View:
    """Which exchanges to show, and how. `collapsed` (ids of first exchanges) and `marks` may change."""

    passes: Filter = everything
    is_grouped: bool = True
    hides_routine: bool = False
    collapsed: set[int] = field(default_factory=set)
    marks: Marks = field(default_factory=Marks)

    def hides(self, exchange: Exchange) -> bool:
        """Return whether an exchange is hidden as routine."""
        return self.hides_routine and is_routine(exchange)

    def shows(self, exchange: Exchange) -> bool:
        """Return whether to show an exchange."""
        return self.passes(exchange) and not self.hides(exchange)
