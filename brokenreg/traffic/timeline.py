"""The timeline of an exchange: its events with their times, limited in number and length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from sys import getsizeof
from typing import Any, NamedTuple, overload

from brokenreg.traffic.redaction import redact_line
from brokenreg.traffic.timeline_events import (
    EXCHANGE_ENDED,
    HEADERS_SENT,
    KINDS,
    ExchangeEnded,
    HeadersSent,
    PointsOmitted,
    RequestBodyReceived,
    RequestReceived,
    TimelineEvent,
)

MOST = 128
"""Maximum number of points of one exchange."""

LONGEST = 512
"""Maximum length of one point as text, in characters."""

CHARACTERS = 16 * 1024
"""Maximum length of all points of one exchange, in characters."""

_WORDS = 48
"""Characters that are counted for a point in addition to its texts."""

_FEW = 4
_POINT_SIZE = 96
"""Memory of a point in addition to its texts, in bytes."""

_KEPT = (RequestReceived, RequestBodyReceived, HeadersSent, ExchangeEnded)
"""Events that are never omitted, because other parts of an exchange are derived from them."""

_TEXTS = {
    kind: tuple(field.name for field in fields(kind) if field.type in ("str", "str | None"))
    for kind in KINDS.values()
}
"""The names of the fields with text, by kind."""


class Point(NamedTuple):
    """An event, and its time in seconds since the request."""

    event: TimelineEvent
    at: float


class Timeline(Sequence[Point]):
    """The points of one exchange in order. If there are too many, points in the middle are omitted.

    Then a point in the middle has the number of omitted points (`PointsOmitted`), as does `omitted`.
    """

    __slots__ = ("_characters", "_events", "omitted")

    def __init__(self, first: TimelineEvent | None = None) -> None:
        """Begin with an optional event without texts at time 0."""
        self._events: tuple[Any, ...] = () if first is None else (first, 0.0)
        """Events and their times, alternately: one object per exchange instead of one per point."""
        self._characters = 0
        self.omitted = 0

    def __len__(self) -> int:
        return len(self._events) // 2

    def __iter__(self) -> Iterator[Point]:
        return map(Point, self._events[::2], self._events[1::2])

    @overload
    def __getitem__(self, place: int) -> Point: ...
    @overload
    def __getitem__(self, place: slice) -> list[Point]: ...
    def __getitem__(self, place: int | slice) -> Point | list[Point]:
        return list(self)[place]

    @property
    def last_at(self) -> float | None:
        """Return the time of the newest point, or None for an empty timeline."""
        return self._events[-1] if self._events else None

    @property
    def size(self) -> int:
        """Return the memory in bytes, or 0 for a few points without texts, as most exchanges have."""
        if not self._characters and len(self._events) <= 2 * _FEW:
            return 0
        texts = (getattr(event, name) for event in self._events[::2] for name in _TEXTS[type(event)])
        return len(self) * _POINT_SIZE + sum(map(getsizeof, texts))

    def add(self, event: TimelineEvent, at: float) -> None:
        """Add a point. Replace secrets in its texts, and cut long texts."""
        texts = _TEXTS[type(event)]
        if texts:
            event = _redacted(event, texts)
            self._characters += _length(event)
        self._events += (event, at)
        if self._characters or len(self._events) > 2 * MOST:
            self._shorten()

    def add_answer(self, at: float) -> None:
        """Add the points of a response that was sent as a whole."""
        self._events += (HEADERS_SENT, at, EXCHANGE_ENDED, at)
        if len(self._events) > 2 * _FEW:
            self._shorten()

    def time_of(self, kind: type[TimelineEvent]) -> float | None:
        """Return the time of the first point of a kind, or None if there is none."""
        return next((at for event, at in self if isinstance(event, kind)), None)

    def _shorten(self) -> None:
        while len(self) > MOST or self._characters + len(self) * _WORDS > CHARACTERS:
            place = self._removable()
            if place is None:
                break
            self._omit(place)

    def _removable(self) -> int | None:
        """Return the index of the oldest removable point in the second half, except the newest."""
        first = self._gap() + 1 if self.omitted else len(self) // 2
        places = range(first, len(self) - 1)
        return next((place for place in places if not isinstance(self._events[2 * place], _KEPT)), None)

    def _omit(self, place: int) -> None:
        events = list(self._events)
        event, at = events[2 * place : 2 * place + 2]
        self._characters -= _length(event)
        self.omitted += 1
        if self.omitted == 1:
            events[2 * place : 2 * place + 2] = [PointsOmitted(1), at]
        else:
            events[2 * self._gap()] = PointsOmitted(self.omitted)
            del events[2 * place : 2 * place + 2]
        self._events = tuple(events)

    def _gap(self) -> int:
        """Return the index of the point that has the number of omitted points."""
        return next(
            place for place, event in enumerate(self._events[::2]) if isinstance(event, PointsOmitted)
        )


def _length(event: TimelineEvent) -> int:
    """Return the length of the texts of an event, in characters."""
    return sum(len(getattr(event, name) or "") for name in _TEXTS[type(event)])


def last_times(timelines: Iterable[Timeline]) -> list[float]:
    """Return the time of the newest point of each timeline; none of them may be empty."""
    return [timeline._events[-1] for timeline in timelines]


def _redacted(event: TimelineEvent, texts: tuple[str, ...]) -> TimelineEvent:
    """Return an event with secrets replaced, and with its texts cut to a total length."""
    room = LONGEST - _WORDS
    changed: dict[str, Any] = {}  # the values are texts, but mypy knows no common type of all kinds
    for name in texts:
        text: str | None = getattr(event, name)
        if text is None:
            continue
        shown = redact_line(text)
        if len(shown) > room:
            shown = f"{shown[: max(0, room - 1)]}…"
        room -= len(shown)
        if shown != text:
            changed[name] = shown
    return replace(event, **changed) if changed else event
