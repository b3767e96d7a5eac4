"""Parts of messages: counts with plurals, suggestions for misspelled names, and text safe for terminals."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection
from functools import lru_cache


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 rule` or `2 rules`; `plural` is for nouns that take more than an `s`."""
    return f"{count} {form_for(count, noun, plural)}"


def form_for(count: int, noun: str, plural: str = "") -> str:
    """Return the noun in the form that follows that number."""
    return noun if count == 1 else plural or f"{noun}s"


def nearest(name: str, known: Collection[str], form: str = "%s") -> str:
    """Return `did you mean ...?` for a misspelled name, or all known names; `form` is their spelling."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {form % near[0]}?" if near else f"there are {', '.join(sorted(known))}"


_RIGHT_TO_LEFT = ("R", "AL", "AN")
"""Bidirectional classes (UAX #9) that make terminals reorder the text around them."""

_BLANK = frozenset("\u115f\u3164\uffa0\u2800")
"""Fillers and the empty Braille pattern: letters and symbols that are invisible."""

_JOINING = (
    range(0x1160, 0x1200),  # vowels and finals of Hangul syllables
    range(0xD7B0, 0xD800),
    range(0x1F1E6, 0x1F200),  # regional indicators: two are one flag
    range(0x1F3FB, 0x1F400),  # skin tones
    range(0x0E33, 0x0E34),  # Thai and Lao sara am
    range(0x0EB3, 0x0EB4),
)
"""Code points that are not marks, but form one glyph with the character before them."""

_OF_UNSURE_WIDTH = (
    range(0x2630, 0x2638),
    range(0x268A, 0x2690),
    range(0x3248, 0x3250),
    range(0x4DC0, 0x4E00),
    range(0x1D300, 0x1D357),
    range(0x1D360, 0x1D379),
)
"""Trigrams, hexagrams, counting rods and circled numbers: terminals disagree about their width."""


def printable(text: str) -> str:
    """Return text whose control, combining, invisible and right-to-left characters are escaped.

    Each remaining character takes one cell, or two if it is wide or fullwidth (UAX #11).
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


@lru_cache(4096)
def _escaped(character: str) -> str:
    stands_alone = (
        character.isprintable()
        and unicodedata.category(character)[0] != "M"
        and unicodedata.bidirectional(character) not in _RIGHT_TO_LEFT
        and character not in _BLANK
        and not any(ord(character) in each for each in (*_JOINING, *_OF_UNSURE_WIDTH))
    )
    return character if stands_alone else character.encode("unicode_escape").decode("ascii")
