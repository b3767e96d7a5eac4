"""The ASGI middleware that lets the chosen faults spoil one exchange."""

from __future__ import annotations

from functools import partial

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.context import FaultContext
from brokenreg.faults.licence import Licence
from brokenreg.faults.registry_view import RegistryView
from brokenreg.gate.gate import Gate
from brokenreg.gate.passage import Passage
from brokenreg.oci.errors import OCIError
from brokenreg.registry.responses import respond_error
from brokenreg.rules.path_rules import PathRules
from brokenreg.rules.rule_book import RuleBooks
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import exchange_of
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send
from brokenreg.wire.connection_middleware import stream_of


class Injector:
    """Stands between the recorder and the honest registry."""

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
                if self._registry_view.must_recall(exchange):
                    await stream_of(scope).unless_gone(self._registry_view.recall(exchange))
                app = self._spoiled(exchange, passage)
            except OCIError as error:
                await respond_error(passage.send, error)
            else:
                await app(scope, receive, passage.send)
        finally:
            passage.close()

    def _spoiled(self, exchange: Exchange, passage: Passage) -> ASGIApp:
        """The registry as this exchange finds it. Raise `OCIError` for a bad path."""
        app = self._app
        if exchange.target.error is not None:
            return app
        choices = self._rules.choose(exchange, self._paths.rules(exchange.target, exchange.method))
        if not choices:
            return app
        for choice in reversed(choices):
            licence = choice.licence()
            for fault in reversed(choice.faults):
                app = partial(self._context, fault, licence, passage, app)
        exchange.faults = tuple(fault.name for choice in choices for fault in choice.faults)
        exchange.rule = choices[0].active.label
        exchange.mark(f"fault {'+'.join(exchange.faults)}")
        return app

    async def _context(
        self,
        fault: Fault,
        licence: Licence,
        passage: Passage,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        exchange = exchange_of(scope)
        context = FaultContext(
            fault.name, exchange, scope, receive, send, app, licence, passage, self._registry_view
        )
        await fault.apply(context)
