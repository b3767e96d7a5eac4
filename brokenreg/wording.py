"""Parts of messages: plurals, suggestions for misspelled names, and text that is safe for terminals."""

from __future__ import annotations

import difflib
import fnmatch
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 rule` or `2 rules`; `plural` is for nouns with an irregular plural."""
    return f"{count} {form_for(count, noun, plural)}"


def form_for(count: int, noun: str, plural: str = "") -> str:
    """Return the singular or plural of a noun, whichever fits the number."""
    return noun if count == 1 else plural or f"{noun}s"


def quoted(value: object) -> str:
    """Return a value as messages show it: in double quotes, safe for terminals, at most 100 characters."""
    return f'"{printable(str(value))[:_LONGEST_QUOTED]}"'


def listed(words: Iterable[str], conjunction: str = "or") -> str:
    """Return `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def near(name: str, known: Collection[str]) -> str | None:
    """Return the known name that a misspelled or a foreign one probably means, or None."""
    word = name.lower().replace("_", "-")
    if word in known:
        return word
    meant = next((each for each, words in _MEANT.items() if each in known and word in words.split()), None)
    return meant or next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)


def nearest(name: str, known: Collection[str], form: str = "%s", otherwise: str = "") -> str:
    """Return `did you mean ...?` for a misspelled name; else `otherwise`, or all known names.

    `form` is how known names are spelled.
    """
    found = near(name, known)
    if found is not None:
        return f"did you mean {form % found}?"
    return otherwise or f"use {listed(sorted(known))}"


def all_near(name: str, known: Collection[str], form: str = "%s", otherwise: str = "") -> str:
    """Return `did you mean ...?` with all names that contain the name or match the glob; else `nearest`."""
    word = name.lower().replace("_", "-")
    glob = word if any(each in word for each in "*?[") else f"*{word}*"
    found = fnmatch.filter(sorted(known), glob) if len(word) >= _SHORTEST_PART else []
    if not found or word in known:
        return nearest(name, known, form, otherwise)
    shown = [form % each for each in found[:_MOST_SUGGESTED]]
    more = [f"{len(found) - _MOST_SUGGESTED} more"] if len(found) > _MOST_SUGGESTED else []
    return f"did you mean {listed([*shown, *more])}?"


_LONGEST_QUOTED = 100
_SHORTEST_PART = 3
_MOST_SUGGESTED = 12
"""Number of names that `all_near` lists."""

_MEANT = {
    "h2": "http2 http/2 http2.0 h2c 2",
    "http/1.1": "http http1 http/1 1.1",
    "repository": "repo image name",
    "reference": "tag digest ref",
    "client": "user-agent useragent agent",
    "user": "username login",
    "manifest": "image",
    "times": "limit max count",
    "at_least": "min minimum",
    "at_most": "max maximum limit",
    "probability": "chance percent rate share",
    "dur": "delay duration time timeout seconds wait sleep",
    "after": "bytes offset at position size",
    "rate": "bandwidth speed bps",
    "status": "code status-code statuscode",
    "message": "text detail",
    "expect": "expectations expects assert",
    "rst": "reset",
    "fin": "close",
    "error": "5xx 500 502 503 504 400 401 403 status http-error",
    "not-found": "404",
    "rate-limit": "429 ratelimit",
    "latency": "delay slow sleep wait",
    "stall": "hang freeze",
    "truncate": "cut short partial",
    "throttle": "bandwidth limit",
    "reset": "disconnect close rst",
    "tls": "certificate cert ssl",
}
"""Words of other tools and of everyday language for names of ours."""

_RIGHT_TO_LEFT = ("R", "AL", "AN")
"""Bidirectional classes (UAX #9) with which terminals reorder the text around them."""

_BLANK = frozenset("\u115f\u3164\uffa0\u2800")
"""Invisible letters and symbols: fillers and the empty Braille pattern."""

_JOINING = (
    range(0x1160, 0x1200),  # vowels and finals of Hangul syllables
    range(0xD7B0, 0xD800),
    range(0x1F1E6, 0x1F200),  # regional indicators: two are one flag
    range(0x1F3FB, 0x1F400),  # skin tones
    range(0x0E33, 0x0E34),  # Thai and Lao sara am
    range(0x0EB3, 0x0EB4),
)
"""Code points that are not marks but form one glyph with the character before them."""

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
