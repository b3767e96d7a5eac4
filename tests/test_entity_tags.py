"""If-None-Match is read as Werkzeug reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_etags

from brokenreg.http.entity_tags import lists_tag


@pytest.mark.parametrize(
    ("value", "is_listed"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('w/"a"', True),
        ("a", True),
        ("*", True),
        (' "b" ,"a"', True),
        ('"b", W/"a", "c"', True),
        ('"b"x, "a"', True),
        ('"b"', False),
        ('"*"', False),
        ("*, a b", False),
        ('"a', False),
        ("", False),
    ],
)
def test_what_is_listed(value: str, is_listed: bool) -> None:
    assert lists_tag(value, "a") is is_listed


@given(st.text('ab"*W/, \t\n\xa0é', max_size=20))
def test_it_is_read_as_before(value: str) -> None:
    assert lists_tag(value, "a") == parse_etags(value).contains_weak("a")
