"""Operations on recorded exchanges: delete and replay."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.runtime.operations.access import Changes
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.replay import Replay, replay_of


class ExchangeOperations(Changes):
    """Operations on the exchanges in the log."""

    def forget_exchanges(self, matches: Callable[[Exchange], bool]) -> None:
        """Delete the exchanges that have ended and match."""
        self._runtime.log.forget(lambda exchange: exchange.ended is not None and matches(exchange))

    def replay(self, exchange: Exchange) -> Replay:
        """Return the request of an exchange, to send it again with `Replay.send`. Raise `ReplayError`."""
        runtime = self._runtime
        return replay_of(exchange, runtime.status().registry, runtime.log.bodies.of(exchange).request)
