"""Counts of ended exchanges by endpoint, status and so on, which grow although the log forgets exchanges."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline import last_times

if TYPE_CHECKING:
    from brokenreg.traffic.log import TrafficLog

BOUNDS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Upper bounds of the histogram of durations, in seconds."""

BATCH = 256
"""How many exchanges are counted together before the log drops the first of them."""

_kind = attrgetter("target.endpoint", "status", "response_bytes", "ended")
_timeline = attrgetter("timeline")


class Tally:
    """Counts of the exchanges of a log that have ended, in all namespaces.

    Counting begins with the first call of `bring_up_to_date`. Until then, `next_position` is None and the
    log counts nothing. Then each exchange is counted once: at the next call, or in a batch before the log
    drops it. Those in flight at that time are kept in `_pending` until the next one.
    """

    def __init__(self) -> None:
        self.next_position: int | None = None
        """The position in the log of the first exchange that is not counted yet."""
        self.requests: Counter[tuple[str, int | None, str]] = Counter()
        """The number of exchanges by endpoint, status and how they ended."""
        self.faults: Counter[str] = Counter()
        self.cache: Counter[str] = Counter()
        self.request_bytes: Counter[str] = Counter()
        self.response_bytes: Counter[str] = Counter()
        """Bytes of bodies by endpoint."""
        self.durations = [0] * (len(BOUNDS) + 1)
        """The number of exchanges in each interval of the histogram; the last one has no upper bound."""
        self.seconds = 0.0
        self._pending: list[Exchange] = []

    def bring_up_to_date(self, log: TrafficLog) -> None:
        """Count every exchange of the log that has ended."""
        start = log.first if self.next_position is None else self.next_position
        self.next_position = log.end
        self._count([*self._pending, *log.newest(log.end - max(start, log.first))])

    def count_next(self, log: TrafficLog) -> None:
        """Count the oldest exchanges of the log, of which none has been counted, as one batch."""
        batch = list(islice(log, BATCH))
        self.next_position = log.first + len(batch)
        self._count([*self._pending, *batch])

    def _count(self, exchanges: list[Exchange]) -> None:
        ended = [exchange for exchange in exchanges if exchange.ended is not None]
        self._pending = []
        if len(ended) < len(exchanges):
            self._pending = [exchange for exchange in exchanges if exchange.ended is None]
        for (endpoint, status, sent, how), number in Counter(map(_kind, ended)).items():
            self.requests[endpoint, status, how] += number
            self.response_bytes[endpoint] += sent * number
        for exchange in [each for each in ended if each.request_bytes or each.faults or each.cache]:
            self.request_bytes[exchange.endpoint] += exchange.request_bytes
            self.faults.update(exchange.faults)
            if exchange.cache is not None:
                self.cache[exchange.cache] += 1
        seconds = sorted(last_times(map(_timeline, ended)))
        self.seconds += sum(seconds)
        below = 0
        for place, bound in enumerate(BOUNDS):
            reached = bisect_right(seconds, bound)
            self.durations[place] += reached - below
            below = reached
        self.durations[-1] += len(seconds) - below
