"""The ASGI middleware that lets the chosen fault spoil one exchange."""

from __future__ import annotations

from brokenreg.faults.catalogue import Strike
from brokenreg.faults.paths import PathDoor
from brokenreg.faults.rules import Rule
from brokenreg.oci.errors import OCIError
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import EXTENSION as EXCHANGE
from brokenreg.wire.asgi import ASGIApp, Receive, Scope, Send


class Injector:
    """Stands between the recorder and the honest registry."""

    def __init__(self, app: ASGIApp, paths: PathDoor) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["extensions"][EXCHANGE]
        try:
            rule = self._choose(exchange)
        except OCIError as error:
            await Strike(exchange, scope, receive, send).respond_error(error)
            return
        if rule is None:
            await self._app(scope, receive, send)
            return
        exchange.fault = rule.fault.name
        exchange.mark(f"fault {rule.fault.name}")
        await rule.fault.strike(Strike(exchange, scope, receive, send))

    def _choose(self, exchange: Exchange) -> Rule | None:
        """The first rule that matches; none for a target that is in error by itself."""
        if exchange.target.error is not None:
            return None
        rules = self._paths.rules(exchange.target, exchange.method)
        return next((rule for rule in rules if rule.matches(exchange.target)), None)
