"""What was seen, in words."""

from __future__ import annotations

from brokenreg.oci.sizes import format_size
from tests.clients.behaviour.case import Asked, Seen

_SHOWN, _FIRST = 11, 3
_AT_ONCE = 0.75

SYMBOLS = {"recovers": "✓ recovers", "fails": "✗ fails", "hangs": "∞ hangs"}


def cell(seen: Seen) -> str:
    """The verdict and, in a few words, how."""
    said = SYMBOLS[seen.verdict]
    if seen.verdict == "hangs":
        return said
    if seen.verdict == "fails":
        count = len(seen.asked)
        return f"{said}, {count} request{'s' if count > 1 else ''}, {_seconds(seen.seconds)}"
    if seen.fault.subject == "any":
        return f"{said}, {_seconds(seen.seconds)}"
    how = ", with Range" if any(each.range for each in seen.asked) else ""
    return f"{said}, {len(seen.asked)} requests{how}, {_seconds(seen.seconds)}"


def story(seen: Seen) -> str:
    """The requests that the fault is about, one after the other."""
    asked = seen.asked
    told = [_told(each, asked[place - 1] if place else None, seen) for place, each in enumerate(asked)]
    if len(told) > _SHOWN:
        left = len(told) - _FIRST - 1
        told = [*told[:_FIRST], f"({left} more like these)", told[-1]]
    return "; ".join(told)


def _told(each: Asked, before: Asked | None, seen: Seen) -> str:
    words = []
    if before is not None:
        gap = each.at - before.at
        if gap >= _AT_ONCE:
            words.append(f"{_seconds(gap)} later")
    words.append(each.method)
    if seen.fault.subject == "any":
        words.append(each.endpoint)
    elif each.endpoint == "manifest":
        words.append("by digest" if each.reference.startswith("sha256:") else "by tag")
    if each.is_elsewhere:
        words.append("elsewhere")
    if each.range:
        words.append(f"Range: {each.range}")
    words.append(f"→ {each.status or 'no response'}")
    if each.ended == "aborted":
        words.append(f"cut after {format_size(each.sent)}")
    elif each.ended is None:
        words.append(f"open, {format_size(each.sent)} so far")
    elif each.ended == "disconnected":
        words.append("and the client disconnects")
    return " ".join(words)


def _seconds(seconds: float) -> str:
    return "immediately" if seconds < _AT_ONCE else f"{seconds:.0f} s"
