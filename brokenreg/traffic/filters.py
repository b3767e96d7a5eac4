"""Filter expressions: `endpoint:layer status:5xx -client:skopeo | held:true`.

`|` separates alternatives. All terms of one alternative must match. A term is `key:value`, and `-` before a
term negates it. A value with spaces needs double quotes. A word without a key matches a part of the path. The
panel, the control API, breakpoints and expectations share these expressions. filter_keys.py has the keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.exchange import Ended
from brokenreg.traffic.filter_keys import BODY_KEY, KEYS, REPETITION_KEYS, SHORT, Filter, find_key
from brokenreg.wording import counted, listed, nearest, quoted

_TOKEN = re.compile(r'\s*(?:(\|)|((?:[^\s|"]|"[^"]*")+))')
_MAX_LENGTH = 4096


class FilterError(ValueError):
    """An expression is invalid. The message says in one line what is wrong and what is valid."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a filter is evaluated: the terms that never match then, and the exchange's name in messages."""

    never: frozenset[str]
    name: str


ANY_TIME = Moment(frozenset(), "")
BEFORE_RESPONSE = Moment(
    frozenset({"status:none", "endpoint:connect", "-ended:no", *(f"ended:{each}" for each in Ended)}),
    "a response that is about to be sent",
)
AFTER_END = Moment(frozenset({"ended:no", "held:true", "-held:false"}), "an exchange that has ended")


_MOST_BODY_TERMS = 4
"""Maximum number of terms that search bodies: each may take 0.3 ms for an exchange."""

_NO_BODIES = (
    'body is not valid here: it searches the bodies of ended exchanges, in the panel and in "brokenreg log"'
)


def parse_filter(text: str, moment: Moment = ANY_TIME, bodies: Bodies | None = None) -> Filter:
    """Parse a filter expression. An empty one matches all exchanges.

    The key `body` searches `bodies`, and is invalid without them.
    Raise `FilterError` if it is invalid, or if no exchange can match when the filter is evaluated.
    """
    if len(text) > _MAX_LENGTH:
        raise FilterError(f"the filter has {counted(len(text), 'character')}: use at most {_MAX_LENGTH}")
    alternatives: list[list[Filter]] = [[]]
    dead: list[str] = [""]
    tokens = _tokens(text)
    if sum(_key_of(token) == BODY_KEY for token in tokens) > _MOST_BODY_TERMS:
        raise FilterError(f"too many terms with body: use at most {_MOST_BODY_TERMS}")
    for token in tokens:
        if token == "|":  # noqa: S105 - no password
            alternatives.append([])
            dead.append("")
        else:
            alternatives[-1].append(_term(token, bodies))
            dead[-1] = dead[-1] or (token if _normalized(token) in moment.never else "")
    if len(alternatives) > 1 and not all(alternatives):
        raise FilterError('a term is missing beside "|": use for example status:5xx | held:true')
    if all(dead):
        raise FilterError(f"{quoted(dead[0])} never matches {moment.name}")
    return _combined([_combined(terms, all) for terms in alternatives], any)


def needs_repetitions(text: str) -> bool:
    """Return whether a filter depends on what an exchange repeats. An invalid one does not."""
    try:
        tokens = _tokens(text[:_MAX_LENGTH])
    except FilterError:
        return False
    return any(_key_of(each) in REPETITION_KEYS for each in tokens)


def parse_terms(text: str) -> list[list[Filter]]:
    """Return the terms of each alternative of a valid filter."""
    alternatives: list[list[Filter]] = [[]]
    for token in _tokens(text):
        if token == "|":  # noqa: S105 - no password
            alternatives.append([])
        else:
            alternatives[-1].append(_term(token))
    return alternatives


def _combined(filters: list[Filter], combine: Callable[[Iterable[bool]], bool]) -> Filter:
    """Return a filter that combines others with `all` or `any`. A single filter is returned unchanged."""
    if len(filters) == 1:
        return filters[0]
    return lambda exchange: combine(each(exchange) for each in filters)


def _normalized(token: str) -> str:
    """Return a term in lower case, with the full key and without quotes."""
    key, _, value = token.lower().replace('"', "").partition(":")
    sign = "-" if key.startswith("-") else ""
    key = key.removeprefix("-")
    return f"{sign}{SHORT.get(key, key)}:{value}"


def _key_of(token: str) -> str:
    """Return the full key of a term."""
    return _normalized(token).lstrip("-").partition(":")[0]


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"a quotation mark is not closed: {text[position:].strip()[:100]}")
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


def _term(token: str, bodies: Bodies | None = None) -> Filter:
    if token.startswith("-") and len(token) > 1:
        inner = _term(token[1:], bodies)
        return lambda exchange: not inner(exchange)
    name, colon, value = token.partition(":")
    if not colon or '"' in name:
        _check_word(token)
        name, value = "path", token
    name, value = SHORT.get(name.lower(), name.lower()), value.replace('"', "")
    if name == BODY_KEY and bodies is None:
        raise FilterError(_NO_BODIES)
    key = find_key(name, bodies)
    if key is None:
        raise FilterError(f"unknown key {quoted(name)}: {_nearest(name, value)}")
    if colon and not value:
        raise FilterError(f"{name} needs a value: use {key.usage}")
    found = key.parse(value)
    if found is None:
        raise FilterError(
            f"invalid {name} {quoted(value)}: {nearest(value, key.choices, otherwise=f'use {key.usage}')}"
        )
    return found


def _check_word(token: str) -> None:
    """Refuse `status=500`, which would be a part of the path."""
    name, equals, value = token.partition("=")
    if equals and SHORT.get(name.lower(), name.lower()) in KEYS:
        raise FilterError(f"invalid term {quoted(token)}: did you mean {name}:{value}?")


def _nearest(name: str, value: str) -> str:
    owner = next((key for key, each in KEYS.items() if name in each.choices), None)
    if owner is not None:
        return f"did you mean {owner}:{name}?"
    if name == "path" or not value:
        return f"use {listed(KEYS)}"
    return nearest(name, [*KEYS, *SHORT], otherwise=f"use {listed(KEYS)}")
