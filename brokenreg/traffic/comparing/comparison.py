"""Compares two pulls or pushes: rows with the same request on both sides, and what differs in them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest

from brokenreg.concurrency import paced
from brokenreg.traffic.comparing.alignment import Aligned, align
from brokenreg.traffic.comparing.differences import Aspect, Difference, differences
from brokenreg.traffic.comparing.subjects import KeptBodies, Subject, Subjects, joint_keys
from brokenreg.traffic.exchange import Exchange, Origin

MOST = 2_000
"""Maximum number of requests of one side. Those after them are left out."""

_PACE = 100
"""Number of requests between two looks at the clock."""


class Sides(StrEnum):
    """The sides that have the request of a row."""

    BOTH = "both sides"
    LEFT = "left only"
    RIGHT = "right only"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `attempt` counts the requests with the same method and subject, from 1.

    `pause` is the time in seconds since the end of the previous attempt; None for the first one.
    """

    exchange: Exchange
    subject: Subject
    attempt: int
    pause: float | None = None

    @property
    def label(self) -> str:
        """Return method and subject: `GET layer 2`. A part of it may come from a client."""
        place = "" if self.exchange.origin is Origin.REGISTRY else f" ({self.exchange.origin} origin)"
        return f"{self.exchange.method} {self.subject.label}{place}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """The same request on both sides, or on one of them, and what differs."""

    left: Request | None
    right: Request | None
    differences: tuple[Difference, ...] = ()

    @property
    def sides(self) -> Sides:
        if self.left is None:
            return Sides.RIGHT
        return Sides.LEFT if self.right is None else Sides.BOTH

    @property
    def is_equal(self) -> bool:
        """Return whether both sides have the request, and nothing differs but noise."""
        return not self.differences and self.sides is Sides.BOTH

    @property
    def one(self) -> Request:
        """Return the request of the left side, or else that of the right side."""
        found = self.left or self.right
        assert found is not None  # noqa: S101 - a row has at least one side
        return found

    @property
    def overall(self) -> tuple[Difference, ...]:
        """Return the differences in the place and number of the requests, which both sides have elsewhere."""
        return tuple(each for each in self.differences if each.aspect in (Aspect.ATTEMPTS, Aspect.ORDER))

    def mirrored(self) -> Row:
        """Return the row with its sides exchanged."""
        return Row(self.right, self.left, tuple(each.mirrored() for each in self.differences))


@dataclass(frozen=True, slots=True)
class Totals:
    """One side in numbers. `omitted` are requests after the first `MOST`, which are not compared."""

    requests: int = 0
    failed: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    seconds: float = 0.0
    clients: tuple[str, ...] = ()
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of two pulls or pushes, each of whose requests is in exactly one row."""

    rows: tuple[Row, ...]
    left: Totals = Totals()
    right: Totals = Totals()

    def mirrored(self) -> Comparison:
        """Return the comparison with its sides exchanged."""
        return Comparison(tuple(row.mirrored() for row in self.rows), self.right, self.left)

    @property
    def counts(self) -> Counter[Aspect | Sides]:
        """Return in how many rows each aspect differs, and how many requests only one side has."""
        found: Counter[Aspect | Sides] = Counter()
        for row in self.rows:
            found.update({each.aspect for each in row.differences})
            if row.sides is not Sides.BOTH:
                found[row.sides] += 1
        return found


_Key = tuple[Hashable, str]
"""What a request is about, on both sides, and its method."""

_Span = tuple[float, float]


async def compare(left: Sequence[Exchange], right: Sequence[Exchange], kept: KeptBodies) -> Comparison:
    """Return the comparison of two pulls or pushes, whose exchanges are in order of arrival.

    The rows have the order of the side that began first. Further attempts are below the first one. Other
    tasks can run meanwhile.
    """
    if [each.id for each in left] > [each.id for each in right]:
        return (await compare(right, left, kept)).mirrored()
    sides = [[each async for each in Subjects(kept).read(side[:MOST])] for side in (left, right)]
    keys = joint_keys(*([subject for _, subject in side] for side in sides))
    await asyncio.sleep(0)  # each of these steps takes milliseconds, with thousands of requests
    ours, theirs = [await _attempts(side, of_side) for side, of_side in zip(sides, keys, strict=True)]
    names = [*ours], [*theirs]
    spans = {key: (_span(ours[key]), _span(theirs[key])) for key in ours if key in theirs}
    await asyncio.sleep(0)
    alignment = align(*names)
    await asyncio.sleep(0)
    rows: list[Row] = []
    async for aligned in paced(alignment):
        lefts = [] if aligned.left is None else ours[names[0][aligned.left]]
        rights = [] if aligned.right is None else theirs[names[1][aligned.right]]
        first = len(rows)
        rows += [row async for row in _rows(lefts, rights, kept)]
        overall = [*_attempts_differ(lefts, rights), *_order_differs(aligned, names[0], spans)]
        rows[first] = replace(rows[first], differences=(*rows[first].differences, *overall))
    await asyncio.sleep(0)
    return Comparison(tuple(rows), _totals(left), _totals(right))


async def compare_pair(left: Exchange, right: Exchange, kept: KeptBodies) -> Comparison:
    """Return the comparison of two exchanges in one row, whatever was requested."""
    subjects = [subject for each in (left, right) async for _, subject in Subjects(kept).read([each])]
    ours, theirs = (Request(each, subject, 1) for each, subject in zip((left, right), subjects, strict=True))
    row = Row(ours, theirs, tuple(differences(left, right, kept)))
    return Comparison((row,), _totals([left]), _totals([right]))


async def _attempts(
    side: Iterable[tuple[Exchange, Subject]], keys: Mapping[Subject, Hashable]
) -> dict[_Key, list[Request]]:
    """Return the requests of one side by key, in order of their first attempts."""
    found: dict[_Key, list[Request]] = {}
    async for exchange, subject in paced(side, _PACE):
        attempts = found.setdefault((keys[subject], exchange.method), [])
        pause = None
        if attempts:
            before = attempts[-1].exchange
            pause = max(0.0, exchange.started - before.started - (before.duration or 0.0))
        attempts.append(Request(exchange, subject, len(attempts) + 1, pause))
    return found


def _span(attempts: Sequence[Request]) -> _Span:
    """Return the start and the end of the first attempt, in seconds."""
    first = attempts[0].exchange
    return first.started, first.started + (first.duration or 0.0)


def _attempts_differ(lefts: Sequence[Request], rights: Sequence[Request]) -> Iterator[Difference]:
    """Yield the difference in the number of attempts."""
    if lefts and rights and len(lefts) != len(rights):
        yield Difference(Aspect.ATTEMPTS, str(len(lefts)), str(len(rights)))


def _order_differs(
    aligned: Aligned, names: Sequence[_Key], spans: Mapping[_Key, tuple[_Span, _Span]]
) -> Iterator[Difference]:
    """Yield the difference in order, if a request came before another on one side, and after it on the other.

    Requests in flight at the same time have no order: clients that send them in parallel send them in any.
    """
    if aligned.left is None or aligned.right is None or not aligned.is_moved:
        return
    left, right = spans[names[aligned.left]]
    if any(
        (_ends_before(ours, left) and _ends_before(right, theirs))
        or (_ends_before(left, ours) and _ends_before(theirs, right))
        for ours, theirs in spans.values()
    ):
        yield Difference(Aspect.ORDER, f"#{aligned.left + 1}", f"#{aligned.right + 1}")


def _ends_before(one: _Span, other: _Span) -> bool:
    return one[1] <= other[0] and one != other


async def _rows(ours: list[Request], theirs: list[Request], kept: KeptBodies) -> AsyncIterator[Row]:
    async for left, right in paced(zip_longest(ours, theirs)):
        if left is None or right is None:
            yield Row(left, right)
        else:
            yield Row(left, right, tuple(differences(left.exchange, right.exchange, kept)))


def _totals(exchanges: Sequence[Exchange]) -> Totals:
    compared = exchanges[:MOST]
    ends = [each.started + (each.duration or 0.0) for each in compared]
    return Totals(
        requests=len(compared),
        failed=sum(each.has_failed for each in compared),
        request_bytes=sum(each.request_bytes for each in compared),
        response_bytes=sum(each.response_bytes for each in compared),
        seconds=max(ends) - compared[0].started if ends else 0.0,
        clients=tuple(dict.fromkeys(each.user_agent for each in compared)),
        omitted=len(exchanges) - len(compared),
    )
