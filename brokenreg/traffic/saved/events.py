"""Reads timelines as HAR files of ours have them."""

from __future__ import annotations

import types
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from brokenreg.traffic.saved.members import list_in, number_in, object_in, text_in, texts_in
from brokenreg.traffic.timeline import MOST, Timeline
from brokenreg.traffic.timeline_events import KINDS, PointsOmitted, TimelineEvent

_MILLISECONDS = 1000


def timeline_in(entry: Any) -> tuple[Timeline, str]:
    """Return the timeline of an entry, and which of its events is unknown or invalid, or ""."""
    timeline = Timeline()
    problem = ""
    for point in list_in(entry, "_timeline", 2 * MOST):
        at, event = number_in(point, "at"), event_in(point)
        if at is None or event is None:
            problem = f'has an unknown event "{text_in(point, "kind", 40)}" in its timeline'
            continue
        timeline.add(event, at / _MILLISECONDS)
        if isinstance(event, PointsOmitted):
            timeline.omitted = event.count
    return timeline, problem


def event_in(point: Any) -> TimelineEvent | None:
    """Return the event of a point `{"kind": ..., "data": {...}}`, or None if it is invalid."""
    kind = KINDS.get(text_in(point, "kind"))
    if kind is None:
        return None
    data = object_in(point, "data")
    try:
        return kind(**{name: _value(data, name, wanted) for name, wanted in _fields(kind.kind).items()})
    except ValueError:
        return None


@cache
def _fields(kind: str) -> dict[str, Any]:
    """Return the types of the data of a kind of event."""
    return {name: wanted for name, wanted in get_type_hints(KINDS[kind]).items() if name != "kind"}


def _value(data: dict[str, Any], name: str, wanted: Any) -> Any:
    """Return a member with the type `wanted`. Raise `ValueError`."""
    if get_origin(wanted) in (Union, types.UnionType):
        if data.get(name) is None:
            return None
        (wanted,) = (each for each in get_args(wanted) if each is not type(None))
    if get_origin(wanted) is tuple:
        return texts_in(data, name, MOST)
    value = data.get(name)
    if wanted is str or issubclass(wanted, Enum):
        text = text_in(data, name)
        return wanted(text) if isinstance(value, str) else _raise()
    if wanted is bool:
        return value if isinstance(value, bool) else _raise()
    number = number_in(data, name)
    if number is None:
        _raise()
    return value if wanted is int and isinstance(value, int) else number if wanted is float else _raise()


def _raise() -> Any:
    raise ValueError
