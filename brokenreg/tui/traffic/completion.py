"""Completes filter expressions, and says what is wrong with them. Free of Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import HEADER_KEY, KEYS, SHORT, find_key
from brokenreg.traffic.filters import ANY_TIME, FilterError, Moment, parse_filter
from brokenreg.tui.text import visible

Values = Mapping[str, tuple[str, ...]]
"""By key, the likeliest first."""

_SEEN_AT_MOST = 50

LOOKED_AT = 1000
"""Newest exchanges whose values are suggested; reading them takes some milliseconds."""


def values_of(exchanges: Iterable[Exchange]) -> Values:
    """Return by key the values that these exchanges have, and those that are always possible."""
    seen: dict[str, Counter[str]] = {name: Counter() for name in KEYS}
    for exchange in exchanges:
        for name, key in KEYS.items():
            seen[name].update(filter(None, key.seen(exchange)))
    return {name: _ordered(KEYS[name].choices, counts) for name, counts in seen.items()}


def candidates(text: str, values: Values, names: Iterable[str] = ()) -> list[str]:
    """Return complete expressions that begin with `text`, the likeliest first.

    `names` are those of filters, as in `@slow`. They are whole expressions.
    """
    if text.startswith("@"):
        return [each for each in names if each.startswith(text) and each != text]
    term = text[_start_of_last(text) :]
    minus, bare = ("-", term[1:]) if term.startswith("-") else ("", term)
    key, colon, value = bare.partition(":")
    if not bare:
        return []
    if not colon:
        headers = [f"header.{name}:" for name in values.get(HEADER_KEY, ())]
        words = [f"{name}:" for name in (*KEYS, *SHORT) if name != HEADER_KEY and _full(name) in values]
        words += headers
        return [text[: len(text) - len(bare)] + word for word in words if word.startswith(bare.lower())]
    known = values.get(_full(key.lower()), ())
    bare_value = value.removeprefix('"').lower()
    before = f"{text[: len(text) - len(term)]}{minus}{key}:"
    return [before + _quoted(each) for each in known if each.lower().startswith(bare_value) and each != value]


def problem_of(text: str, moment: Moment = ANY_TIME, bodies: Bodies | None = None) -> str:
    """Return what is wrong with an expression, or an empty string."""
    try:
        parse_filter(text, moment, bodies)
    except FilterError as error:
        return str(error)
    return ""


def advice(text: str, values: Values) -> str:
    """Return in one line how the last term may continue."""
    offered = candidates(text, values)
    term = text[_start_of_last(text) :].removeprefix("-")
    key, colon, _ = term.partition(":")
    if not term:
        return "status:5xx ep:layer -client:skopeo repo:library/* method:GET | fault:*"
    if colon:
        key = SHORT.get(key.lower(), key.lower())
        if len(offered) > 1:
            return "  ".join(each.rpartition(f"{term.partition(':')[0]}:")[2] for each in offered)
        known = find_key(key)
        return f"{key}: {'' if known is None else known.usage}"
    return (
        "  ".join(each[_start_of_last(each) :].removeprefix("-") for each in offered)
        or "matches part of the path"
    )


def _full(key: str) -> str:
    """Return the full name of a key."""
    return SHORT.get(key, key)


def _start_of_last(text: str) -> int:
    """Return where the last term begins: after a space or `|` outside quotation marks."""
    start, quoted = 0, False
    for place, character in enumerate(text):
        quoted ^= character == '"'
        if character in " |" and not quoted:
            start = place + 1
    return start


def _ordered(choices: tuple[str, ...], seen: Counter[str]) -> tuple[str, ...]:
    """Return the most frequent values, then the choices, without values that cannot be shown as they are."""
    likely = [
        each for each, _ in seen.most_common(_SEEN_AT_MOST) if visible(each) == each and '"' not in each
    ]
    return tuple(dict.fromkeys([*likely, *choices]))


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value or "|" in value else value
