"""The bars of a waterfall: when an exchange was waiting, delayed, held or sent."""

from __future__ import annotations

from typing import Any

import pytest

from brokenreg.exam.html_report.waterfall import Part, Scale, parts_of, scale_of, time_label
from tests.exam.reports import REQUEST, detail, exchange, point

HEADERS, END = point("headers", 0.2), point("end", 1.0)


@pytest.mark.parametrize(
    ("timeline", "parts"),
    [
        ([REQUEST, HEADERS, END], [("waiting", 0, 0.2), ("transfer", 0.2, 1.0)]),
        ([REQUEST, END], [("waiting", 0, 1.0)]),
        (
            [REQUEST, point("fault-delay", 0.1, seconds=0.1), HEADERS, END],
            [("waiting", 0, 0.1), ("delay", 0.1, 0.2), ("transfer", 0.2, 1.0)],
        ),
        (
            [REQUEST, HEADERS, point("fault-delay", 0.5, seconds=None), END],
            [("waiting", 0, 0.2), ("transfer", 0.2, 0.5), ("delay", 0.5, 1.0)],
        ),
        (
            [REQUEST, point("fault-delay", 0.5, seconds=600.0), END],
            [("waiting", 0, 0.5), ("delay", 0.5, 1.0)],
        ),
        (
            [REQUEST, point("held", 0.1), point("resumed", 0.15), HEADERS, point("held", 0.4),
             point("stepped", 0.5), point("held", 0.5), END],
            [("waiting", 0, 0.1), ("held", 0.1, 0.15), ("waiting", 0.15, 0.2), ("transfer", 0.2, 0.4),
             ("held", 0.4, 1.0)],
        ),
        (
            [REQUEST, point("fault-delay", 0.1, seconds=0.3), point("held", 0.2), point("resumed", 0.3), END],
            [("waiting", 0, 0.1), ("delay", 0.1, 0.2), ("held", 0.2, 0.3), ("delay", 0.3, 0.4),
             ("waiting", 0.4, 1.0)],
        ),
    ],
)  # fmt: skip
def test_parts(timeline: list[Any], parts: list[tuple[str, float, float]]) -> None:
    found = parts_of(detail(1, timeline, duration=1.0), until=9.0)
    assert [each.kind for each in found] == [kind for kind, _, _ in parts]
    assert [(each.start, each.end) for each in found] == [pytest.approx(times) for _, *times in parts]


def test_an_exchange_in_flight_lasts_until_the_end_of_the_waterfall() -> None:
    found = parts_of(detail(1, [REQUEST, point("fault-delay", 0.5, seconds=None)], duration=None), until=2.0)
    assert found == [Part("waiting", 0.0, 0.5), Part("delay", 0.5, 2.0)]


def test_all_exchanges_fit_on_the_scale() -> None:
    scale = scale_of([exchange(1, time=50.0, duration=2.0), exchange(2, time=51.0, duration=None)])
    assert scale.start == 50.0
    assert 97 < scale.percent(2.0) < 100
    assert scale_of([]).percent(1.0) == 100


@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (1.0, ["200 ms", "400 ms", "600 ms", "800 ms"]),
        (0.0042, ["1 ms", "2 ms", "3 ms", "4 ms"]),
        (12.0, ["2.5 s", "5 s", "7.5 s", "10 s"]),
        (600.0, ["2:00 min", "4:00 min", "6:00 min", "8:00 min"]),
    ],
)
def test_ticks_are_round_times(length: float, labels: list[str]) -> None:
    assert [label for _, label in Scale(0.0, length).ticks()] == labels


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0.0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.35, "350 ms"),
        (0.9999, "1 s"),
        (2.5, "2.5 s"),
        (200.0, "3:20 min"),
    ],
)
def test_time_label(seconds: float, label: str) -> None:
    assert time_label(seconds) == label
