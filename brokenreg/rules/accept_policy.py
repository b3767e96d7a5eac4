"""Applies the rules at endpoint `connect` to connections."""

from __future__ import annotations

import logging
from functools import partial

from brokenreg.faults.catalogue.base import ConnectFault
from brokenreg.faults.registry_view import RegistryView
from brokenreg.http.asgi import End
from brokenreg.listening.inbound_connection import AcceptDecision, Deciding, InboundConnection, Reject
from brokenreg.rules.active_rule import RuleHit
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.shared_evaluation import SharedEvaluation
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.connections import ConnectionRecorder
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline_events import FaultInapplicable, FaultsApplied

logger = logging.getLogger(__name__)


class RuleAcceptPolicy:
    """Decides what happens to new connections, by the rules at endpoint `connect`.

    A connection has no path yet, so only the rules without a namespace are evaluated. In a fleet, `shared`
    evaluates rules whose counts decide, which takes a while.
    """

    def __init__(
        self,
        rules: RuleBooks,
        recorder: ConnectionRecorder,
        registry_view: RegistryView,
        shared: SharedEvaluation | None = None,
    ) -> None:
        self._shared = shared
        self._rules = rules
        self._recorder = recorder
        self._registry_view = registry_view

    def __call__(self, connection: InboundConnection) -> AcceptDecision | Deciding | None:
        exchange = self._recorder.exchange(connection)
        if self._shared is not None and self._shared.decides(exchange, ()):
            return partial(self._decide, self._shared, connection, exchange)
        return self._decided(connection, exchange, self._rules.evaluate(exchange, ()))

    async def _decide(
        self, shared: SharedEvaluation, connection: InboundConnection, exchange: Exchange
    ) -> AcceptDecision | None:
        """Decide with the counts of the fleet. Without them, the connection is closed."""
        try:
            hits = await shared.evaluate(exchange, ())
        except StorageError as error:
            logger.warning("a connection was closed, because its rule cannot be evaluated: %s", error)
            return Reject(End.FIN)
        return self._decided(connection, exchange, hits)

    def _decided(
        self, connection: InboundConnection, exchange: Exchange, hits: list[RuleHit]
    ) -> AcceptDecision | None:
        decision = self._decision(hits[0]) if hits else None
        if exchange.timeline:  # a fault was applied, or had no effect
            self._recorder.open(connection, exchange)
        return decision

    def _decision(self, hit: RuleHit) -> AcceptDecision | None:
        """Return the decision of the fault. If it cannot be applied, undo the hit and return None."""
        (fault,) = hit.faults
        if not isinstance(fault, ConnectFault):
            raise TypeError(f"{fault.name} needs a request")  # `Rule` refuses this combination
        exchange = hit.exchange
        try:
            decision = fault.decision(self._registry_view)
        except OSError as error:
            hit.undo()
            exchange.add(FaultInapplicable(fault.name, str(error)))
            return None
        exchange.faults, exchange.rule = (fault.name,), hit.active.label
        exchange.add(FaultsApplied(exchange.faults))
        return decision
