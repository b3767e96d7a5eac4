"""Bounds the points of a timeline in number and length by omitting those in the middle."""

from __future__ import annotations

from brokenreg.wording import counted

Point = tuple[str, float]
"""The text of an event, and its time in seconds since the request."""

MOST = 128
"""Maximum number of points of one exchange."""

LONGEST = 512
"""Maximum length of one point, in characters."""

CHARACTERS = 16 * 1024
"""Maximum length of all points of one exchange, in characters."""

_KEPT = frozenset({"request", "request body", "headers", "end"})
"""Points that other parts of an exchange are derived from."""

_LEFT_OUT = " left out here"


def add_point(timeline: list[Point], left_out: int, what: str, at: float) -> int:
    """Add a point to a timeline that omits `left_out` points; return how many it omits now.

    A point in the middle says how many.
    """
    timeline.append((what if len(what) <= LONGEST else f"{what[: LONGEST - 1]}…", at))
    while _is_too_long(timeline):
        place = _droppable(timeline, has_gap=left_out > 0)
        if place is None:
            break
        left_out += 1
        _, when = timeline.pop(place)
        words = f"{counted(left_out, 'point')}{_LEFT_OUT}"
        if left_out == 1:
            timeline.insert(place, (words, when))
        else:
            gap = _gap(timeline)
            timeline[gap] = words, timeline[gap][1]
    return left_out


def _is_too_long(timeline: list[Point]) -> bool:
    if len(timeline) > MOST:
        return True
    return len(timeline) * LONGEST > CHARACTERS and sum(len(what) for what, _ in timeline) > CHARACTERS


def _droppable(timeline: list[Point], *, has_gap: bool) -> int | None:
    """Return the index of the oldest removable point in the second half, except the newest."""
    first = _gap(timeline) + 1 if has_gap else len(timeline) // 2
    places = range(first, len(timeline) - 1)
    return next((place for place in places if timeline[place][0] not in _KEPT), None)


def _gap(timeline: list[Point]) -> int:
    """Return the index of the point that says how many are omitted."""
    return next(place for place, (what, _) in enumerate(timeline) if what.endswith(_LEFT_OUT))
