"""Two exchanges in full, side by side: lines with the value of each side, and whether they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from brokenreg.http.dates import date_and_clock
from brokenreg.oci.sizes import format_size
from brokenreg.traffic.bodies import Kept
from brokenreg.traffic.comparing.alignment import align, numbered
from brokenreg.traffic.comparing.differences import (
    FACTS,
    NONE,
    Aspect,
    Difference,
    by_name,
    differences,
    digest_of,
    header_differs,
    header_text,
    seconds_text,
)
from brokenreg.traffic.comparing.documents import LONGEST, MOST, omitted_parts, parts_of
from brokenreg.traffic.comparing.noise import without_repository
from brokenreg.traffic.comparing.subjects import KeptBodies
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline import Point
from brokenreg.traffic.timeline_text import text_of

NOT_RECORDED = "not recorded"
_OTHER_BYTES = "the same parts, but other bytes"


class Sign(StrEnum):
    """How the two values of a line relate. The values are the glyphs that are shown."""

    EQUAL = "="
    DIFFERS = "≠"
    NOISE = "~"
    """They differ in something that says nothing, such as a date."""
    LEFT = "◀"
    RIGHT = "▶"

    @property
    def is_difference(self) -> bool:
        return self not in (Sign.EQUAL, Sign.NOISE)


class Section(StrEnum):
    """The parts of an exchange. The values are shown as headings."""

    HEAD = "Summary"
    REQUEST_HEADERS = "Request headers"
    RESPONSE_HEADERS = "Response headers"
    REQUEST_BODY = "Request body"
    BODY = "Response body"
    TIMELINE = "Timeline"


@dataclass(frozen=True, slots=True)
class PairLine:
    """One line: what it is about, and its value on both sides. None means that a side does not have it."""

    section: Section
    label: str
    left: str | None
    right: str | None
    sign: Sign


def pair_lines(
    left: Exchange | None, right: Exchange | None, kept: KeptBodies, overall: Iterable[Difference] = ()
) -> Iterator[PairLine]:
    """Yield two exchanges in full, section by section; or one, if the other side has no such request.

    Values come from clients and upstreams, with secrets replaced. `overall` are differences that the two
    exchanges do not have by themselves (`Row.overall`).
    """
    for each in overall:
        yield PairLine(Section.HEAD, each.aspect, each.left, each.right, Sign.DIFFERS)
    aspects: set[Aspect] = set()
    if left is not None and right is not None:
        aspects = {each.aspect for each in differences(left, right, kept)}
    yield from _head(left, right, aspects)
    yield from _headers(Section.REQUEST_HEADERS, left, right)
    yield from _headers(Section.RESPONSE_HEADERS, left, right)
    yield from _body(Section.REQUEST_BODY, left, right, kept, differs=Aspect.REQUEST_BODY in aspects)
    yield from _body(Section.BODY, left, right, kept, differs=Aspect.BODY in aspects)
    yield from _timeline(left, right)


def _line(
    section: Section, label: str, left: str | None, right: str | None, *, differs: bool = True
) -> Iterator[PairLine]:
    """Yield a line, unless neither side has a value. If `differs` is false, different values are noise."""
    if left is None and right is None:
        return
    sign = Sign.DIFFERS if differs else Sign.NOISE
    if left is None or right is None:
        sign = Sign.RIGHT if left is None else Sign.LEFT
    elif left == right:
        sign = Sign.EQUAL
    yield PairLine(section, label, left, right, sign)


def _request_text(exchange: Exchange) -> str:
    query = f"?{exchange.query}" if exchange.query else ""
    return f"{exchange.method} {exchange.path}{query}"[:LONGEST]


def _exact_size(size: int) -> str:
    return format_size(size) if size < 1024 else f"{format_size(size)} ({size:,} B)"


_HEAD: Mapping[str, Callable[[Exchange], str]] = {
    "request": _request_text,
    **{str(aspect): value_of for aspect, value_of in FACTS.items() if aspect is not Aspect.QUERY},
    Aspect.BYTES: lambda exchange: _exact_size(exchange.response_bytes),
    Aspect.REQUEST_BYTES: lambda exchange: _exact_size(exchange.request_bytes),
    Aspect.DIGEST: lambda exchange: digest_of(exchange) or NONE,
    Aspect.TIMING: lambda exchange: seconds_text(exchange.duration),
    "client": lambda exchange: exchange.client,
    "started": lambda exchange: date_and_clock(exchange.started),
    "exchange": lambda exchange: str(exchange.id),
}
"""The facts of an exchange by label. Those that are no aspect are noise."""


def _head(left: Exchange | None, right: Exchange | None, aspects: set[Aspect]) -> Iterator[PairLine]:
    differing = {*map(str, aspects), *(("request",) if Aspect.QUERY in aspects else ())}
    for label, value_of in _HEAD.items():
        ours, theirs = (None if each is None else value_of(each) for each in (left, right))
        yield from _line(Section.HEAD, label, ours, theirs, differs=label in differing)


def _headers(section: Section, left: Exchange | None, right: Exchange | None) -> Iterator[PairLine]:
    ours, theirs = (_headers_of(section, each) for each in (left, right))
    for name in dict.fromkeys([*ours, *theirs]):
        values = ours.get(name), theirs.get(name)
        differs = left is None or right is None or header_differs(name, left, right, *values)
        texts = (None if each is None else header_text(each) for each in values)
        for line in _line(section, name, *texts, differs=differs):
            yield line if differs or line.sign is Sign.EQUAL else replace(line, sign=Sign.NOISE)


def _headers_of(section: Section, exchange: Exchange | None) -> Mapping[str, tuple[str, ...]]:
    if exchange is None:
        return {}
    is_request = section is Section.REQUEST_HEADERS
    return by_name(exchange.request_headers if is_request else exchange.response_headers)


def _body(
    section: Section, left: Exchange | None, right: Exchange | None, kept: KeptBodies, *, differs: bool
) -> Iterator[PairLine]:
    ours, theirs = (None if each is None else _body_of(section, each, kept(each)) for each in (left, right))
    if NOT_RECORDED in (ours, theirs):
        shown = (text if text in (None, NOT_RECORDED) else "recorded" for text in (ours, theirs))
        yield from _line(section, "text", *shown, differs=False)
        return
    has_difference = False
    for path, value, other in parts_of(ours, theirs):
        differs_here = _plain(value, left) != _plain(other, right)
        for line in _line(section, path, value, other, differs=differs_here):
            has_difference |= line.sign.is_difference
            yield line
    if differs and not has_difference:
        yield PairLine(section, "text", _OTHER_BYTES, _OTHER_BYTES, Sign.DIFFERS)
    if any(text is not None and omitted_parts(text) for text in (ours, theirs)):
        yield from _line(section, "rest", *([f"only the first {MOST:,} are compared"] * 2))


def _plain(value: str | None, exchange: Exchange | None) -> str | None:
    return value if value is None or exchange is None else without_repository(value, exchange)


def _body_of(section: Section, exchange: Exchange, kept: Kept) -> str | None:
    """Return the recorded text of a body, `NOT_RECORDED`, or None if there is no body."""
    is_request = section is Section.REQUEST_BODY
    body = kept.request if is_request else kept.response
    if body is None:
        return NOT_RECORDED if (exchange.request_bytes if is_request else exchange.response_bytes) else None
    return body.data.decode(errors="backslashreplace")


def _timeline(left: Exchange | None, right: Exchange | None) -> Iterator[PairLine]:
    sides = [[] if each is None else [*each.timeline] for each in (left, right)]
    keys = [[*numbered(point.event.kind for point in side)] for side in sides]
    for each in align(*keys):
        ours = None if each.left is None else sides[0][each.left]
        theirs = None if each.right is None else sides[1][each.right]
        one = ours or theirs
        label = "" if one is None else one.event.kind
        texts = (None if point is None else text_of(point.event) for point in (ours, theirs))
        for line in _line(Section.TIMELINE, label, *texts, differs=False):
            yield replace(line, left=_timed(ours), right=_timed(theirs))


def _timed(point: Point | None) -> str | None:
    return None if point is None else f"{point.at * 1000:,.1f} ms  {text_of(point.event)}"
