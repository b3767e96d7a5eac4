"""Text that is safe to show, checked with independent tables of what terminals do with it."""

from __future__ import annotations

import sys

import pytest
from hostile import cells
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from brokenreg.tui.text import ELLIPSIS, beginning, fit, fit_end, fold, visible
from brokenreg.wording import printable

ANYTHING = st.text(st.characters(), max_size=300) | st.text("ab \x1b\u202e\u0301漢😀\ud800\t", max_size=300)
WIDTHS = st.integers(0, 50)


@pytest.mark.slow
def test_every_character_has_its_calculated_width() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        if printable(character) == character:
            assert cells(character) == get_character_cell_size(character), ascii(character)


def test_characters_that_affect_others_are_escaped() -> None:
    for (
        character
    ) in "\x1b\x9b\r\t\x85\u2028\u202e\u200b\u200d\ufe0f\u0301\u1161\U0001f1e9\U0001f3fd\u05d0\u3164\u4dc0":
        assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"
    assert printable("a\ud800\u0627b") == r"a\ud800\u0627b"
    assert printable("grün – 漢字 😀 Ωж") == "grün – 漢字 😀 Ωж"


@given(ANYTHING, WIDTHS)
def test_any_text_is_cut_to_the_available_cells(text: str, width: int) -> None:
    safe = visible(text)
    assert all(map(cells, safe))
    assert visible(safe) == safe
    assert cell_len(fit(safe, width)) == width
    assert cell_len(fit_end(safe, width)) <= width
    assert all(map(cells, fit(safe, width) + fit_end(safe, width)))
    assert fit(beginning(text, width), width) == fit(safe, width)


@given(ANYTHING, st.integers(1, 40))
def test_wrapped_text_is_complete_in_rows_that_fit(text: str, width: int) -> None:
    safe = visible(text)
    rows = fold(safe, width)
    assert "".join(rows).replace(" ", "") == safe.replace(" ", "")
    assert all(cell_len(row) <= width or len(row) == 1 for row in rows)
    assert rows


def test_the_beginning_says_that_there_is_more() -> None:
    assert beginning("abc", 3) == "abc"
    assert beginning("a\x1bcd", 3) == rf"a\x1bc{ELLIPSIS}"
