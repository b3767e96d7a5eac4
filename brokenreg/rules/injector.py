"""Applies the rules: the middleware for requests, and the accept policy for connections."""

from __future__ import annotations

from functools import partial

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.catalogue.base import ConnectFault
from brokenreg.faults.context import FaultContext
from brokenreg.faults.registry_view import RegistryView
from brokenreg.gate.gate import Gate
from brokenreg.gate.passage import Passage
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.registry.auth.token_endpoint import read_token_form
from brokenreg.registry.responses import respond_error
from brokenreg.rules.active_rule import RuleHit
from brokenreg.rules.path_rules import PathRules
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.connections import ConnectionRecorder
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import exchange_of
from brokenreg.traffic.timeline_events import FaultInapplicable, FaultsApplied
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send
from brokenreg.wire.connection_middleware import stream_of
from brokenreg.wire.inbound_connection import AcceptDecision, InboundConnection


class Injector:
    """The ASGI middleware between the recorder and the registry.

    It evaluates the rules for each request, and wraps the registry in the faults that are applied.
    """

    def __init__(
        self, app: ASGIApp, paths: PathRules, rules: RuleBooks, gate: Gate, registry_view: RegistryView
    ) -> None:
        self._app = app
        self._paths = paths
        self._rules = rules
        self._gate = gate
        self._registry_view = registry_view

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        passage = self._gate.passage(exchange, stream_of(scope), send)
        try:
            try:
                if exchange.target.endpoint is Endpoint.TOKEN and exchange.method == "POST":
                    scope, receive = await read_token_form(scope, receive)
                if exchange.target.is_reserved and self._registry_view.must_recall(exchange):
                    await stream_of(scope).unless_gone(self._registry_view.recall(exchange))
                app = self._with_faults(exchange, passage)
            except OCIError as error:
                await respond_error(passage.send, error)
            else:
                await app(scope, receive, passage.send)
        finally:
            self._gate.close(passage)

    def _with_faults(self, exchange: Exchange, passage: Passage) -> ASGIApp:
        """Return the registry within the faults of this exchange. Raise `OCIError` for an invalid path."""
        app = self._app
        if exchange.target.error is not None:
            return app
        has_path_rules = exchange.target.faults or exchange.target.is_reserved
        path_rules = self._paths.rules(exchange.target, exchange.method) if has_path_rules else []
        hits = self._rules.evaluate(exchange, path_rules)
        if not hits:
            return app
        for hit in reversed(hits):
            for fault in reversed(hit.faults):
                app = partial(self._apply, fault, hit, passage, app)
        exchange.faults = tuple(fault.name for hit in hits for fault in hit.faults)
        exchange.rule = hits[0].active.label
        exchange.add(FaultsApplied(exchange.faults))
        return app

    async def _apply(
        self,
        fault: Fault,
        hit: RuleHit,
        passage: Passage,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        context = FaultContext(
            name=fault.name,
            exchange=hit.exchange,
            scope=scope,
            receive=receive,
            send=send,
            app=app,
            passage=passage,
            registry_view=self._registry_view,
            memory=hit.active.memory,
            draw=hit.draw,
            note_no_effect=hit.note_no_effect,
        )
        await fault.apply(context)


class RuleAcceptPolicy:
    """Decides about new connections of the registry's listeners, by the rules of endpoint `connect`.

    There is no path yet, so only the rules without a namespace are evaluated.
    """

    def __init__(self, rules: RuleBooks, recorder: ConnectionRecorder, registry_view: RegistryView) -> None:
        self._rules = rules
        self._recorder = recorder
        self._registry_view = registry_view

    def __call__(self, connection: InboundConnection) -> AcceptDecision | None:
        exchange = self._recorder.exchange(connection)
        hits = self._rules.evaluate(exchange, ())
        decision = self._decision(hits[0]) if hits else None
        if exchange.timeline:  # a fault was applied, or had no effect
            self._recorder.open(connection, exchange)
        return decision

    def _decision(self, hit: RuleHit) -> AcceptDecision | None:
        """Return the decision of the fault; if it cannot be carried out, undo the hit and return None."""
        (fault,) = hit.faults
        if not isinstance(fault, ConnectFault):
            raise TypeError(f"{fault.name} needs a request")  # Rule does not allow this
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
