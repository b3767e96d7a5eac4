"""When the exchanges of a run were waiting, delayed, held or sent: the bars of a waterfall."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from brokenreg.client.documents import Exchange, ExchangeDetail, TimelinePoint

WAITING, DELAY, HELD, TRANSFER, WHOLE = "waiting", "delay", "held", "transfer", "whole"
"""The parts of a bar. `WHOLE` is an exchange whose timeline is not known."""

_RELEASES = ("resumed", "stepped", "aborted")
_STEPS = (1, 2, 2.5, 5, 10)
_MINUTES = (60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an exchange, in seconds since its request."""

    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The time that a waterfall shows: `length` seconds from `start`, which is in seconds since the epoch."""

    start: float
    length: float

    def percent(self, seconds: float) -> float:
        """Return where a time since `start` is."""
        return round(100 * min(max(seconds / self.length, 0.0), 1.0), 3)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield percent and label of round times, a few of them."""
        step = _round_step(self.length / _MOST_TICKS)
        for number in range(1, int(self.length / step) + 1):
            if number * step < 0.97 * self.length:
                yield self.percent(number * step), _tick_label(number * step)


def scale_of(exchanges: Sequence[Exchange]) -> Scale:
    """Return a scale on which all exchanges fit. One in flight has no known end."""
    start = min((each["time"] for each in exchanges), default=0.0)
    end = max((each["time"] + (each["duration"] or 0.0) for each in exchanges), default=start)
    return Scale(start, max(end - start, 0.001) * 1.02)


def parts_of(detail: ExchangeDetail, until: float) -> list[Part]:
    """Return the parts of an exchange in order, without gaps. A hold covers all else, then a delay.

    An exchange in flight lasts until `until`.
    """
    timeline = detail["timeline"]
    duration = until if detail["duration"] is None else detail["duration"]
    end = max(duration, max((each["at"] for each in timeline), default=0.0))
    headers = next((each["at"] for each in timeline if each["kind"] == "headers"), end)
    held = list(_held(timeline, end))
    delayed = list(_delayed(timeline, end))
    cuts = {0.0, headers, end}.union(*([each.start, each.end] for each in (*held, *delayed)))
    parts: list[Part] = []
    for start, stop in pairwise(sorted(cuts)):
        middle = (start + stop) / 2
        covering = next((each.kind for each in (*held, *delayed) if each.start <= middle < each.end), None)
        kind = covering or (WAITING if middle < headers else TRANSFER)
        if parts and parts[-1].kind == kind:
            start = parts.pop().start
        parts.append(Part(kind, start, stop))
    return parts


def time_label(seconds: float) -> str:
    """Return `0.4 ms`, `350 ms`, `2.5 s` or `3:20 min`."""
    if seconds >= 100:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02} min"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.00995 else f"{1000 * seconds:.1f} ms"


def _tick_label(seconds: float) -> str:
    return time_label(seconds) if seconds >= 0.00995 else f"{1000 * seconds:g} ms"


def _held(timeline: Sequence[TimelinePoint], end: float) -> Iterator[Part]:
    began = None
    for each in timeline:
        if each["kind"] == "held" and began is None:
            began = each["at"]
        elif each["kind"] in _RELEASES and began is not None:
            yield Part(HELD, began, each["at"])
            began = None
    if began is not None:
        yield Part(HELD, began, end)


def _delayed(timeline: Sequence[TimelinePoint], end: float) -> Iterator[Part]:
    for each in timeline:
        if each["kind"] == "fault-delay":
            seconds = each["data"]["seconds"]
            yield Part(DELAY, each["at"], end if seconds is None else min(end, each["at"] + seconds))


def _round_step(seconds: float) -> float:
    """Return a round number of seconds that is at least that many."""
    if seconds > _MINUTES[0] / 2:
        return next((each for each in _MINUTES if each >= seconds), seconds)
    power = math.pow(10, math.floor(math.log10(seconds)))
    return next(factor * power for factor in _STEPS if factor * power >= seconds * 0.999)
