"""Reports work that is done for an exchange, upstream or to fabricate an image, to that exchange."""

from __future__ import annotations

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline_events import Cache, CacheUsed, TimelineEvent, WorkProgress


class UpstreamTrace:
    """Writes into one exchange's timeline, for as long as the exchange lasts: work may outlive it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def add(self, event: TimelineEvent) -> None:
        """Add a point to the timeline."""
        if self._exchange.ended is None:
            self._exchange.add(event)

    def progress(self, progress: WorkProgress | None) -> None:
        """Set the progress of that work; None when it has ended."""
        if self._exchange.ended is None and self._exchange.progress != progress:
            self._exchange.progress = progress
            self._exchange.revision += 1

    def found(self, cache: Cache) -> None:
        """Record what part the cache had."""
        if self._exchange.ended is None:
            self._exchange.cache = cache
            self._exchange.add(CacheUsed(cache))
