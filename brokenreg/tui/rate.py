"""How many requests came in each of the last seconds."""

from __future__ import annotations

from collections import Counter

from brokenreg.traffic.log import TrafficLog

SECONDS = 8
_BARS = "▁▂▃▄▅▆▇█"


class RequestRate:
    """Counts the exchanges of a log by the second in which they came; looks at each of them once."""

    def __init__(self, log: TrafficLog) -> None:
        self._log = log
        self._seen = 0
        self._counts: Counter[int] = Counter()

    def tick(self, now: float) -> list[int]:
        """Requests in each of the last `SECONDS` whole seconds before `now`, oldest first."""
        first = int(now) - SECONDS
        for position in range(max(self._seen, self._log.first), self._log.end):
            self._counts[int(self._log[position].started)] += 1
        self._seen = self._log.end
        for second in [second for second in self._counts if second < first]:
            del self._counts[second]
        return [self._counts[second] for second in range(first, first + SECONDS)]


def sparkline(counts: list[int]) -> str:
    """One bar for each; the highest is the largest of them."""
    largest = max(counts)
    if largest == 0:
        return _BARS[0] * len(counts)
    return "".join(_BARS[round(count / largest * (len(_BARS) - 1))] for count in counts)
