"""What an exchange is told of the work that is done for it upstream."""

from __future__ import annotations

from brokenreg.traffic.exchange import Cache, Exchange


class Witness:
    """Writes into one exchange's timeline, for as long as the exchange lasts: work may outlive it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def tell(self, line: str) -> None:
        """Add a point to the timeline."""
        if self._exchange.ended is None:
            self._exchange.mark(line)

    def found(self, cache: Cache) -> None:
        """Say what part the cache had."""
        if self._exchange.ended is None:
            self._exchange.cache = cache
            self._exchange.mark(f"cache {cache}")
