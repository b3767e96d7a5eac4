"""The keys of filter expressions. `KEYS` has a row for each.

Error messages, completion in the panel, the control API, breakpoints and expectations use this table. To add
a key, see docs/explanation/extending.md, "Add a filter key".
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from brokenreg.oci.digests import is_digest
from brokenreg.oci.durations import parse_duration
from brokenreg.oci.sizes import parse_size
from brokenreg.oci.target import Endpoint
from brokenreg.redaction import REDACTED
from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.comparisons import Number, parse_comparison, parse_status, whole
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.upstream_events import Cache

Filter = Callable[[Exchange], bool]
"""Returns whether an exchange matches."""

Values = Callable[[Exchange], Iterable[str]]
"""Returns the values that an exchange has for a key."""

NumberOf = Callable[[Exchange], float | None]
"""Returns the number that an exchange has for a key, or None if it has none."""


@dataclass(frozen=True, slots=True)
class FilterKey:
    """A key of filter expressions."""

    usage: str
    """The valid values, as text for users."""

    parse: Callable[[str], Filter | None]
    """Returns the filter for a value, or None if the value is invalid."""

    choices: tuple[str, ...] = ()
    """Values that completion always offers."""

    seen: Values = lambda exchange: ()
    """Returns the values of an exchange that completion offers. Empty ones are omitted."""


def _glob(value: str) -> Callable[[str], bool]:
    """Return a test for the whole text that ignores case. `*` also matches `/`.

    Every text matches itself, even one with brackets such as `[slow] layers`, because completion offers it.
    """
    pattern = re.compile(rf"{fnmatch.translate(value)}|{re.escape(value)}\Z", re.IGNORECASE)
    return lambda text: pattern.match(text) is not None


def _part(value: str) -> Callable[[str], bool]:
    """Return a test for a part of the text that ignores case. A glob may also match the whole text."""
    wanted = value.lower()
    if any(wild in value for wild in "*?["):
        matches = _glob(value)
        return lambda text: matches(text) or wanted in text.lower()
    return lambda text: wanted in text.lower()


def _choice(attribute: str, choices: Iterable[str], none: str = "") -> FilterKey:
    """Return a key with fixed values. `none` is the value of exchanges whose attribute is None."""
    value_of = attrgetter(attribute)
    known = {str(each): each for each in choices}
    words = (*known, *filter(None, (none,)))

    def parse(value: str) -> Filter | None:
        if value.lower() not in words:
            return None
        wanted = known.get(value.lower())
        return lambda exchange: value_of(exchange) == wanted

    return FilterKey(_listed(words), parse, words)


def _flag(test: Filter) -> FilterKey:
    """Return a key with the values true and false."""

    def parse(value: str) -> Filter | None:
        match value.lower():
            case "true":
                return test
            case "false":
                return lambda exchange: not test(exchange)
        return None

    return FilterKey("true or false", parse, ("true", "false"))


def _tested(test: Callable[[str], Callable[[str], bool]], values: Values) -> Callable[[str], Filter]:
    """Return a `parse` function for a key. One of the exchange's values must pass the test for its value."""

    def parse(value: str) -> Filter:
        passes = test(value)
        return lambda exchange: any(map(passes, values(exchange)))

    return parse


def _listed(words: Iterable[str]) -> str:
    """Return words as a list with commas and `or`: `hit, miss or none`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _compared(number_of: NumberOf, number: Number) -> Callable[[str], Filter | None]:
    """Return a `parse` function for a key with comparisons. An exchange without a number never matches."""

    def parse(value: str) -> Filter | None:
        passes = parse_comparison(value, number)
        if passes is None:
            return None
        return lambda exchange: (found := number_of(exchange)) is not None and passes(found)

    return parse


def _status(value: str) -> Filter | None:
    test = parse_status(value)
    return None if test is None else lambda exchange: test(exchange.status)


_BLOB = "blob"
_ENDPOINTS = (_BLOB, *map(str, Endpoint))


def _endpoint(value: str) -> Filter | None:
    value = value.lower()
    if value == _BLOB:
        return lambda exchange: exchange.endpoint in (Endpoint.CONFIG, Endpoint.LAYER)
    if value not in _ENDPOINTS:
        return None
    wanted = Endpoint(value)
    return lambda exchange: exchange.endpoint is wanted


def _method(value: str) -> Filter:
    wanted = value.upper()
    return lambda exchange: exchange.method == wanted


def _client_words(exchange: Exchange) -> tuple[str, ...]:
    """Return the client's product (`docker`), and its address without the port."""
    return exchange.user_agent.partition(" ")[0].partition("/")[0], exchange.client.rpartition(":")[0]


def _tag(exchange: Exchange) -> tuple[str, ...]:
    """Return the tag of a manifest, but not a digest."""
    reference = exchange.target.reference
    return (reference,) if exchange.endpoint is Endpoint.MANIFEST and not is_digest(reference) else ()


def _rule(exchange: Exchange) -> tuple[str, ...]:
    return () if exchange.rule is None else (exchange.rule,)


_HEADER = "header."
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`~0-9a-z-]+", re.ASCII)


def find_key(name: str, bodies: Bodies | None = None) -> FilterKey | None:
    """Return the key of a name in lower case, such as `status` or `header.range`, or None.

    The key `body` searches `bodies`. Without them, no value of it is valid.
    """
    if name == BODY_KEY and bodies is not None:
        return FilterKey(KEYS[BODY_KEY].usage, partial(_body, bodies))
    header = name.removeprefix(_HEADER)
    if header != name and _HEADER_NAME.fullmatch(header):
        return FilterKey(f"a glob on a value of {header}", _tested(_glob, partial(_header_values, header)))
    return KEYS.get(name) if name != HEADER_KEY else None


def _header_values(name: str, exchange: Exchange) -> Iterable[str]:
    """Return the values of a request header, but not those from which a secret was removed."""
    return (value for key, value in exchange.request_headers if key == name and REDACTED not in value)


def _body(bodies: Bodies, value: str) -> Filter:
    """Return a filter for a part of a recorded body. For an exchange with 64 KiB, it takes up to 0.3 ms."""
    wanted = value.encode().lower()

    def is_in_body(exchange: Exchange) -> bool:
        kept = bodies.of(exchange)
        return any(body is not None and wanted in body.data.lower() for body in (kept.response, kept.request))

    return is_in_body


def _retry_after(value: str) -> Filter | None:
    wanted = {"honoured": True, "ignored": False}.get(value.lower())
    return None if wanted is None else lambda exchange: exchange.repetition.honoured is wanted


def _namespace(exchange: Exchange) -> tuple[str, ...]:
    return (exchange.target.namespace,)


HEADER_KEY = "header.NAME"
"""The row that stands for the keys of all request headers."""

BODY_KEY = "body"
"""The key that searches recorded bodies. It is valid only where these are at hand."""

KEYS = {
    "endpoint": FilterKey(f"{_listed(_ENDPOINTS)} (blob is config or layer)", _endpoint, _ENDPOINTS),
    "repository": FilterKey(
        "a glob on the repository, without prefixes",
        _tested(_glob, lambda exchange: exchange.target.names),
        seen=lambda exchange: (exchange.target.repository,),
    ),
    "reference": FilterKey(
        "a glob on the tag, digest or upload ID",
        _tested(_glob, lambda exchange: (exchange.target.reference,)),
        seen=_tag,
    ),
    "namespace": FilterKey("a glob on the namespace", _tested(_glob, _namespace), seen=_namespace),
    "origin": _choice("origin", Origin),
    "method": FilterKey("GET, HEAD, PUT, ...", _method, seen=lambda exchange: (exchange.method,)),
    "status": FilterKey(
        "404, 4xx, 400-499, >=500 or none",
        _status,
        ("5xx", "4xx", "2xx", "none"),
        lambda exchange: () if exchange.status is None else (str(exchange.status),),
    ),
    "client": FilterKey(
        "a part of the User-Agent or of the address, or a glob on one of them",
        _tested(_part, lambda exchange: (exchange.user_agent, exchange.client)),
        seen=_client_words,
    ),
    "cache": _choice("cache", Cache, none="none"),
    "fault": FilterKey(
        "a glob on the name of an applied fault; * for any",
        _tested(_glob, lambda exchange: exchange.faults),
        ("*",),
        lambda exchange: exchange.faults,
    ),
    "rule": FilterKey("a glob on the name of the applied rule", _tested(_glob, _rule), seen=_rule),
    "held": _flag(lambda exchange: exchange.held_since is not None),
    "ended": _choice("ended", Ended, none="no"),
    "protocol": _choice("protocol", ("http/1.1", "h2")),
    "path": FilterKey("part of the path, or a glob on it", _tested(_part, lambda exchange: (exchange.path,))),
    "attempt": FilterKey(
        "2, >1 or 2-4: the number of the request among those for the same target",
        _compared(lambda exchange: exchange.repetition.attempt, whole),
        (">1",),
    ),
    "since": FilterKey(
        ">=2s or 1s-5s: the pause since the last request for the same target",
        _compared(lambda exchange: exchange.repetition.since, parse_duration),
        (">=1s", "<1s"),
    ),
    "retry-after": FilterKey(
        "honoured or ignored, for a request that repeats one whose response has Retry-After",
        _retry_after,
        ("honoured", "ignored"),
    ),
    "duration": FilterKey(
        ">2s or 1s-5s: from the request to the end of the response",
        _compared(lambda exchange: exchange.duration, parse_duration),
        (">1s",),
    ),
    "bytes": FilterKey(
        ">1MiB, 0 or 1KiB-64KiB: bytes of the response body",
        _compared(lambda exchange: exchange.response_bytes, parse_size),
        (">1MiB", "0"),
    ),
    "wrong-bytes": _flag(lambda exchange: exchange.has_wrong_bytes),
    BODY_KEY: FilterKey("part of a recorded body, once the exchange has ended", lambda value: None),
    HEADER_KEY: FilterKey(
        "a glob on a value of a request header, as in header.range:bytes=*",
        lambda value: None,
        seen=lambda exchange: [name for name, value in exchange.request_headers if REDACTED not in value],
    ),
}
"""All keys by name."""

REPETITION_KEYS = frozenset({"attempt", "since", "retry-after"})
"""The keys that depend on what an exchange repeats."""

SHORT = {"ep": "endpoint", "repo": "repository", "ref": "reference", "ns": "namespace"}
"""Abbreviations of some keys."""
