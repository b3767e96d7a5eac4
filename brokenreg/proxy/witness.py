"""What an exchange is told of the work that is done for it: upstream, or to fabricate an image."""

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

    def progress(self, words: str | None) -> None:
        """Say how far that work is; None once it is over."""
        if self._exchange.ended is None and self._exchange.progress != words:
            self._exchange.progress = words
            self._exchange.revision += 1

    def found(self, cache: Cache) -> None:
        """Say what part the cache had."""
        if self._exchange.ended is None:
            self._exchange.cache = cache
            self._exchange.mark(f"cache {cache}")
