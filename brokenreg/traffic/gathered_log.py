"""A log of copies of the exchanges of several replicas."""

from __future__ import annotations

import copy
from collections.abc import Collection

from brokenreg.traffic.bodies import Kept
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.place import Place
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED

CAPACITY, MEMORY = 10_000, 16 * 1024 * 1024
"""Maximum number of exchanges, and maximum size in bytes."""

_MOST_IN_FLIGHT = 1000
"""Number of exchanges in flight beyond which the oldest is no longer shown as such: its end was missed."""

_OF_SUMMARY = (
    "status", "request_bytes", "response_bytes", "cache", "faults", "rule", "held_since", "held_by", "edited",
    "ended",
)  # fmt: skip
_OF_DETAIL = (
    "target", "request_headers", "response_headers", "rule_outcomes", "progress", "timeline", "saved",
    "has_wrong_bytes",
)  # fmt: skip


class GatheredLog(TrafficLog):
    """Exchanges that have a `place`, and ids of this log."""

    def __init__(self) -> None:
        super().__init__(CAPACITY, MEMORY)
        self._ids: dict[Place, int] = {}

    def at(self, place: Place) -> Exchange | None:
        """Return the exchange that is at a place, or None if the log does not have it."""
        return self.find(self._ids.get(place, 0))

    def take(self, place: Place, new: Exchange) -> Exchange:
        """Add an exchange, or update the one that is at its place. Return that of this log."""
        known = self.at(place)
        if known is not None and known.started == new.started:
            if known.ended is None:
                self._update(known, new)
            return known
        if known is not None and known.ended is None:
            self._end(known)  # the replica has started again
        new.id, new.place = self.next_id(), place
        self._ids[place] = new.id
        if len(self._ids) > 2 * CAPACITY:
            self._ids = {each: number for each, number in self._ids.items() if self.find(number) is not None}
        self.opened(new)
        if new.ended is not None:
            self.closed(new)
        elif new.held_since is not None:
            self.held(new)
        if self.in_flight > _MOST_IN_FLIGHT:
            self._end(next(iter(self.under_way.values())))
        return new

    def detail(self, known: Exchange, new: Exchange, kept: Kept) -> None:
        """Add to an exchange what its replica knows about it."""
        for name in _OF_DETAIL:
            setattr(known, name, getattr(new, name))
        if known.ended is None:
            self._update(known, new)
        self.bodies.keep(known, kept)
        self.changed(known)

    def end_missing(self, replica: str, listed: Collection[int]) -> None:
        """End what is in flight at a replica, but is not among the ids of its newest exchanges."""
        oldest, newest = min(listed, default=0), max(listed, default=0)
        for each in list(self.under_way.values()):
            if each.place is None or each.place.replica != replica or each.place.number in listed:
                continue
            if oldest < each.place.number < newest:
                self._end(each)

    def _end(self, exchange: Exchange) -> None:
        """Note that an exchange is no longer in flight, although its end was not seen."""
        exchange.held_since, exchange.ended = None, Ended.ABORTED
        exchange.revision += 1
        self.closed(exchange)

    def _update(self, known: Exchange, new: Exchange) -> None:
        """Update an exchange in flight."""
        since = known.held_since
        for name in _OF_SUMMARY:
            setattr(known, name, getattr(new, name))
        if since is not None and known.held_since is not None:
            known.held_since = since
        if new.timeline is not known.timeline and new.ended is not None:
            known.timeline.add(EXCHANGE_ENDED, new.timeline.last_at or 0.0)
        self.changed(known)
        if known.ended is not None:
            self.closed(known)
        elif since is None and known.held_since is not None:
            self.held(known)


def copy_of(exchange: Exchange) -> Exchange:
    """Return a copy of an exchange of another log. Both have the same timeline."""
    copied = copy.copy(exchange)
    copied.find_repetitions = copied.known_repetition = None
    copied.counted = 0
    return copied
