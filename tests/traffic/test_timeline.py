"""Timelines are limited, and show how many points they omit. Each kind of event has a text."""

from __future__ import annotations

import dataclasses
import json
import re
from enum import StrEnum
from typing import Any, get_args, get_type_hints

import pytest

from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules.rule import Rule
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.timeline import CHARACTERS, LONGEST, MOST
from brokenreg.traffic.timeline_events import (
    KINDS,
    ExchangeEnded,
    FaultInapplicable,
    FaultNote,
    HeadersSent,
    PointsOmitted,
    RequestReceived,
    TimelineEvent,
    data_of,
)
from brokenreg.traffic.timeline_text import text_of
from brokenreg.traffic.upstream_events import UpstreamResponded

SECRET = "s3cr3tValue0fSomebody"


def exchange() -> Exchange:
    target = Target(Endpoint.MANIFEST, repository="app", reference="v1")
    return Exchange(1, "GET", "", "", "2", "http", "c:1", target)


def events(opened: Exchange) -> list[TimelineEvent]:
    return [event for event, _ in opened.timeline]


def texts(opened: Exchange) -> list[str]:
    return list(map(text_of, events(opened)))


def point(number: int) -> FaultNote:
    return FaultNote("test", f"point {number}")


def test_few_points_are_all_kept() -> None:
    opened = exchange()
    for number in range(MOST):
        opened.add(point(number))
    assert events(opened) == [point(number) for number in range(MOST)]
    assert opened.timeline.omitted == 0


def test_the_first_and_last_of_many_points_are_kept() -> None:
    opened = exchange()
    opened.add(RequestReceived())
    for number in range(1000):
        opened.add(point(number))
        if number == 100:
            opened.add(HeadersSent())
    opened.add(ExchangeEnded())
    kept = events(opened)
    assert len(kept) == MOST
    assert kept[:3] == [RequestReceived(), point(0), point(1)]
    assert kept[-2:] == [point(999), ExchangeEnded()]
    assert HeadersSent() in kept
    omitted = opened.timeline.omitted
    assert [each for each in kept if isinstance(each, PointsOmitted)] == [PointsOmitted(omitted)]
    assert f"{omitted} events omitted" in texts(opened)
    assert omitted == 1003 - (MOST - 1)
    assert [when for _, when in opened.timeline] == sorted(when for _, when in opened.timeline)
    opened.ended = Ended.COMPLETE
    assert opened.duration == opened.timeline[-1].at


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 10 * CHARACTERS])
def test_long_points_are_cut_and_limited_in_total(length: int) -> None:
    opened = exchange()
    for number in range(100):
        opened.add(FaultNote("test", f"{number:04}" + "x" * (length - 4)))
    assert all(len(text) <= LONGEST for text in texts(opened))
    assert sum(map(len, texts(opened))) <= CHARACTERS
    assert texts(opened)[-1].startswith("test: 0099")
    assert opened.timeline.omitted > 0


def test_the_texts_of_one_point_are_limited_together() -> None:
    opened = exchange()
    opened.add(UpstreamResponded("GET" * LONGEST, "h/" * LONGEST, 200, "p" * LONGEST))
    assert len(texts(opened)[0]) <= LONGEST


def test_a_thousand_rules_that_cannot_be_applied_leave_few_points() -> None:
    books = RuleBooks(0, lambda _: ())
    rule = Rule.model_validate({"fault": {"type": "h2-reset"}, "match": {"endpoint": "manifest"}})
    for _ in range(1000):
        books.book("").add(rule, "test")
    opened = exchange()
    opened.http_version = "1.1"
    assert books.evaluate(opened, ()) == []
    assert len(opened.timeline) <= MOST
    assert opened.timeline.omitted == 1000 - (MOST - 1)
    assert isinstance(opened.timeline[0].event, FaultInapplicable)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_text_and_json_data(kind: str) -> None:
    """As a client of the control API and a reader of the panel get them."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind)
    assert KINDS[kind].kind == kind
    event = example(KINDS[kind])
    text = text_of(event)
    assert text
    assert "\n" not in text
    data = json.loads(json.dumps(data_of(event)))
    assert list(data) == [field.name for field in dataclasses.fields(event)]
    opened = exchange()
    opened.add(event)
    assert events(opened) == [event]


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_has_a_secret_in_its_texts(kind: str) -> None:
    opened = exchange()
    opened.add(example(KINDS[kind], text=f"https://casey:{SECRET}@h/?token={SECRET}"))
    (event,) = events(opened)
    assert SECRET not in text_of(event) + json.dumps(data_of(event))


def example(kind: type[TimelineEvent], text: str = "a") -> TimelineEvent:
    """Return an event of that kind with a value in each field."""
    hints = get_type_hints(kind)
    values = {field.name: some(hints[field.name], text) for field in dataclasses.fields(kind)}
    return kind(**values)


def some(hint: Any, text: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    values = {
        str: text,
        str | None: text,
        int | None: None,
        int: 2,
        float: 2.5,
        float | None: 2.5,
        bool: True,
        tuple[str, ...]: ("a", "b"),
    }
    return values[hint]


def test_kinds_are_unique() -> None:
    assert len(KINDS) == len(get_args(TimelineEvent))
