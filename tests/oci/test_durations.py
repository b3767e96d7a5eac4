"""Durations have the syntax of Go."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.durations import format_duration, parse_duration

UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
terms = st.tuples(st.integers(0, 10**5), st.text("0123456789", max_size=12), st.sampled_from(sorted(UNITS)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5s", 5),
        ("-1.5h", -5400),
        ("1h15m30.918s", 4530.918),
        ("300ms", 0.3),
        (".5s", 0.5),
        ("1.s", 1),
        ("2us", 2e-6),
        ("1h1h", 7200),
        ("0.000000001s", 1e-9),
    ],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "use a number"),
        ("-", "use a number"),
        ("s", "a number is missing"),
        ("3", "did you mean 3s or 3ms"),
        (".s", "a number is missing"),
        ("1d", "did you mean 24h"),
        ("1 s", "without a unit"),
        ("1S", "unknown unit"),
        ("1s-2s", "a number is missing"),
        ("1٣s", "unit"),
        ("9223372036854775808ns", "292 years"),
        ("9" * 5000 + "h", "292 years"),
    ],
)
def test_refuses_what_go_refuses_and_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_duration(text)


@given(st.lists(terms, min_size=1, max_size=4), st.sampled_from(["", "+", "-"]))
def test_sums_its_terms(parts: list[tuple[int, str, str]], sign: str) -> None:
    text = sign + "".join(f"{whole}.{part}{unit}" for whole, part, unit in parts)
    exact = sum(Fraction(f"{whole}.{part or 0}") * UNITS[unit] for whole, part, unit in parts) / 10**9
    expected = -float(exact) if sign == "-" else float(exact)
    assert parse_duration(text) == pytest.approx(expected, abs=len(parts) * 1e-9, rel=1e-12)


@given(st.integers(-(10**15), 10**15))
def test_formats_what_it_reads(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds / 1e9)) == pytest.approx(nanoseconds / 1e9, abs=1e-9)


@given(st.text(max_size=30))
def test_fails_with_words_or_not_at_all(text: str) -> None:
    try:
        parse_duration(text)
    except ValueError as error:
        assert "invalid duration" in str(error)  # noqa: PT017 - many texts are durations
