"""The doorman of the registry's listeners: rules of endpoint `connect`, asked about each connection."""

from __future__ import annotations

from brokenreg.faults.catalogue.base import ConnectFault
from brokenreg.faults.registry_view import RegistryView
from brokenreg.rules.active_rule import Choice
from brokenreg.rules.rule_book import RuleBooks
from brokenreg.traffic.connections import ConnectionRecorder
from brokenreg.traffic.exchange import Exchange
from brokenreg.wire.inbound_connection import AcceptDecision, InboundConnection


class RuleAcceptPolicy:
    """Lets the first rule that matches strike.

    There is no path yet: only the namespace without a name has such rules.
    """

    def __init__(self, rules: RuleBooks, recorder: ConnectionRecorder, registry_view: RegistryView) -> None:
        self._rules = rules
        self._recorder = recorder
        self._registry_view = registry_view

    def __call__(self, arrival: InboundConnection) -> AcceptDecision | None:
        exchange = self._recorder.exchange(arrival)
        choices = self._rules.choose(exchange, ())
        decision = self._treatment(choices[0], exchange) if choices else None
        if exchange.timeline:  # struck, or passed over
            self._recorder.open(arrival, exchange)
        return decision

    def _treatment(self, choice: Choice, exchange: Exchange) -> AcceptDecision | None:
        """What the rule's fault does; None, and no strike, if it cannot be done."""
        (fault,) = choice.faults
        if not isinstance(fault, ConnectFault):
            raise TypeError(f"{fault.name} needs a request")  # Rule sees to it
        try:
            decision = fault.decision(self._registry_view)
        except OSError as error:
            choice.lot.give_back()
            exchange.mark(f"{fault.name}: passed over, {error}")
            return None
        exchange.faults, exchange.rule = (fault.name,), choice.active.label
        exchange.mark(f"fault {fault.name}")
        return decision
