"""Counts of things in words."""

from __future__ import annotations

from brokenreg.oci.plurals import counted, form_for


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(count, "rule") for count in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
    assert [counted(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]
    assert [form_for(count, "is", "are") for count in (1, 2)] == ["is", "are"]
