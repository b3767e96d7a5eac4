"""Counts of things in words."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 rule` or `2 rules`; `plural` is for nouns that take more than an `s`."""
    return f"{count} {form_for(count, noun, plural)}"


def form_for(count: int, noun: str, plural: str = "") -> str:
    """Return the noun in the form that follows that number."""
    return noun if count == 1 else plural or f"{noun}s"
