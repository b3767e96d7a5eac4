"""Byte sizes and `key-value` parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.params import join_params, split_params
from brokenreg.oci.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1b", 1),
        ("64KiB", 65536),
        ("64kib", 65536),
        ("1.5GiB", 3 << 29),
        ("10MB", 10**7),
    ],
)
def test_reads_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "-1", "1 KiB", "KiB", "1.KiB", "1.3b", "0x10", "1e3", "٣", "1kk", "9" * 25]
)
def test_refuses_other_sizes_and_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@given(st.integers(0, 2**50))
def test_any_whole_number_of_bytes_is_a_size(size: int) -> None:
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1 GiB")]
)
def test_formats_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text


NAMES = ["status", "code", "retry_after", "retry"]


@given(st.dictionaries(st.sampled_from(NAMES), st.from_regex(r"[A-Za-z0-9.]+", fullmatch=True), min_size=1))
def test_parameters_come_back_as_they_went(values: dict[str, str]) -> None:
    assert split_params(join_params(values), NAMES) == values


def test_the_longest_name_wins_and_values_may_hold_underscores() -> None:
    assert split_params("retry-after-5_retry-2", NAMES) == {"retry_after": "5", "retry": "2"}
    assert split_params("code-TOO_MANY_status-429", NAMES) == {"code": "TOO_MANY", "status": "429"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("statsu-1", 'unknown parameter "statsu": did you mean status'),
        ("status-1_status-2", "twice"),
        ("status-", "no value"),
        ("status", 'parameter "status" has no value: use status-<value>'),
        ("status_404", 'parameter "status" has no value: use status-404'),
        ("503", 'unknown parameter "503"'),
    ],
)
def test_bad_parameters_are_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        split_params(text, NAMES)
