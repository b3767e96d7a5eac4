"""The points of a timeline, bounded in number and length: of too many, those in the middle are left out."""

from __future__ import annotations

from brokenreg.oci.plurals import counted

Point = tuple[str, float]
"""What happened, and when: seconds since the request."""

MOST = 128
"""Points of one exchange."""

LONGEST = 512
"""Characters of one point."""

CHARACTERS = 16 * 1024
"""Of all points of one exchange."""

_KEPT = frozenset({"request", "request body", "headers", "end"})
"""Points that other parts of an exchange are derived from."""

_LEFT_OUT = " left out here"


def add_point(timeline: list[Point], left_out: int, what: str, at: float) -> int:
    """Add a point to a timeline that has left out `left_out`; return how many it leaves out now.

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
    """The place of the oldest point in the second half that nothing is derived from, and not the newest."""
    first = _gap(timeline) + 1 if has_gap else len(timeline) // 2
    places = range(first, len(timeline) - 1)
    return next((place for place in places if timeline[place][0] not in _KEPT), None)


def _gap(timeline: list[Point]) -> int:
    """The place of the point that says how many are left out."""
    return next(place for place, (what, _) in enumerate(timeline) if what.endswith(_LEFT_OUT))
