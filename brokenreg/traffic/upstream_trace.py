"""Reports work that is done for an exchange, upstream or to fabricate an image, to that exchange."""

from __future__ import annotations

from brokenreg.traffic.exchange import Cache, Exchange


class UpstreamTrace:
    """Writes into one exchange's timeline, for as long as the exchange lasts: work may outlive it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def tell(self, line: str) -> None:
        """Add a point to the timeline."""
        if self._exchange.ended is None:
            self._exchange.mark(line)

    def progress(self, words: str | None) -> None:
        """Set the progress of that work; None when it has ended."""
        if self._exchange.ended is None and self._exchange.progress != words:
            self._exchange.progress = words
            self._exchange.revision += 1

    def found(self, cache: Cache) -> None:
        """Say what part the cache had."""
        if self._exchange.ended is None:
            self._exchange.cache = cache
            self._exchange.mark(f"cache {cache}")
