"""Dates, for any clock."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from brokenreg.http import dates

YEAR = 31_556_952.0
CLOCKS = [0.0, -1.0, 0.9996, -60 * YEAR, 31_000 * YEAR, -31_000 * YEAR, 1e18, -1e18, 1e300, float("inf")]


def test_as_protocols_write_them() -> None:
    assert dates.rfc3339(1_700_000_000.25) == "2023-11-14T22:13:20Z"
    assert dates.rfc3339(1_700_000_000.25, "milliseconds") == "2023-11-14T22:13:20.250Z"
    assert dates.http_date(1_700_000_000) == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert dates.rfc3339(-1.0) == "1969-12-31T23:59:59Z"
    assert dates.rfc3339(31_000 * YEAR) == "9999-12-31T23:59:59Z"
    assert dates.rfc3339(-31_000 * YEAR) == "1950-01-01T00:00:00Z"


@pytest.mark.parametrize("seconds", CLOCKS)
@pytest.mark.parametrize(
    ("written", "form"),
    [
        (dates.rfc3339, r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"),
        (dates.http_date, r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"),
        (dates.clock, r"[0-9:]{8}"),
        (dates.date_and_clock, r"[0-9]{4,5}-[0-9]{2}-[0-9]{2} [0-9:]{8}"),
    ],
)
def test_no_clock_is_an_error(written: Callable[[float], str], form: str, seconds: float) -> None:
    assert re.fullmatch(form, written(seconds))
