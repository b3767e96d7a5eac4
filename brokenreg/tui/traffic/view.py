"""Which exchanges the list shows: those that a filter matches, perhaps without routine. Free of Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenreg.listening.connection_events import ClosedBeforeTLSHello, TLSHelloOnPlainPort
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.timeline_events import ExchangeEnded
from brokenreg.tui.traffic.marks import Marks

_PROBE = (ClosedBeforeTLSHello, ExchangeEnded)
"""The only events of a connection that just tests whether the port is open."""


def is_routine(exchange: Exchange) -> bool:
    """Return whether it is a ping, a token or a probe of the port that went as usual.

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
    if exchange.ended is Ended.COMPLETE:
        # Many clients try HTTPS first.
        return exchange.status == 400 and exchange.timeline.time_of(TLSHelloOnPlainPort) is not None
    is_untouched = all(isinstance(event, _PROBE) for event, _ in exchange.timeline)
    return exchange.ended is Ended.DISCONNECTED and exchange.status is None and is_untouched


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
