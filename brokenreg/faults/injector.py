"""The ASGI middleware that lets the chosen faults spoil one exchange."""

from __future__ import annotations

from functools import partial

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.hold import Gate
from brokenreg.faults.licence import Licence
from brokenreg.faults.passage import Passage
from brokenreg.faults.paths import PathDoor
from brokenreg.faults.rulebook import RuleBooks
from brokenreg.faults.strike import Strike
from brokenreg.faults.surroundings import Surroundings
from brokenreg.oci.errors import OCIError
from brokenreg.registry.responses import respond_error
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import EXTENSION as EXCHANGE
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send
from brokenreg.wire.seam import EXTENSION as STREAM
from brokenreg.wire.seam import Stream


class Injector:
    """Stands between the recorder and the honest registry."""

    def __init__(
        self, app: ASGIApp, paths: PathDoor, rules: RuleBooks, gate: Gate, surroundings: Surroundings
    ) -> None:
        self._app = app
        self._paths = paths
        self._rules = rules
        self._gate = gate
        self._surroundings = surroundings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["extensions"][EXCHANGE]
        passage = self._gate.passage(exchange, scope["extensions"][STREAM], send)
        try:
            try:
                if self._surroundings.must_recall(exchange):
                    stream: Stream = scope["extensions"][STREAM]
                    await stream.unless_gone(self._surroundings.recall(exchange))
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
                app = partial(self._strike, fault, licence, passage, app)
        exchange.fault = "+".join(fault.name for choice in choices for fault in choice.faults)
        exchange.rule = choices[0].active.label
        exchange.mark(f"fault {exchange.fault}")
        return app

    async def _strike(
        self,
        fault: Fault,
        licence: Licence,
        passage: Passage,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        exchange: Exchange = scope["extensions"][EXCHANGE]
        strike = Strike(fault.name, exchange, scope, receive, send, app, licence, passage, self._surroundings)
        await fault.strike(strike)
