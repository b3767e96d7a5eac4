"""Filter expressions: `endpoint:layer status:5xx -client:skopeo | held:true`.

Terms joined by spaces must all hold, `|` separates alternatives, `-` before a term negates it. A term is
`key:value`, the value perhaps in double quotes; a bare word is looked for in the path. Panel, control API and
expectations share them.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.timeline_events import Cache
from brokenreg.wording import counted

Filter = Callable[[Exchange], bool]

KEYS = {
    "endpoint": "ping, manifest, config, layer, blob (config or layer), upload, tags, ...; `ep` for short",
    "repository": "glob on the repository, prefixes stripped; `repo` for short",
    "reference": "glob on the tag, digest or upload id; `ref` for short",
    "namespace": "glob on the namespace; `ns` for short",
    "origin": "registry, or second for what came to the second origin",
    "method": "GET, HEAD, PUT, ...",
    "status": "404, 4xx, 400-499, or none",
    "client": "part of the User-Agent or of the address, or a glob on one of them",
    "cache": "hit, miss, joined, revalidated, stale, or none",
    "fault": "name of an applied fault, or a glob on it; * for any",
    "rule": "glob on the name of the applied rule",
    "held": "true or false",
    "ended": "complete, disconnected, aborted, or no",
    "protocol": "http/1.1 or h2",
    "path": "part of the path, or a glob on it",
}
"""The keys and what their values are."""

SHORT = {"ep": "endpoint", "repo": "repository", "ref": "reference", "ns": "namespace"}
"""Short spellings of some keys."""

_TOKEN = re.compile(r'\s*(?:(\|)|((?:[^\s|"]|"[^"]*")+))')
_STATUS = re.compile(r"([1-9])xx|([0-9]{3})(?:-([0-9]{3}))?|(none)", re.IGNORECASE)
_MAX_LENGTH = 4096


class FilterError(ValueError):
    """An expression that cannot be read; one line says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment when a filter is evaluated: the terms that are never true then, and how to say so."""

    never: frozenset[str]
    name: str


ANY_TIME = Moment(frozenset(), "")
BEFORE_RESPONSE = Moment(
    frozenset({"status:none", "endpoint:connect", "-ended:no", *(f"ended:{each}" for each in Ended)}),
    "a response that is about to be sent",
)
AFTER_END = Moment(frozenset({"ended:no", "held:true", "-held:false"}), "an exchange that has ended")


def parse_filter(text: str, moment: Moment = ANY_TIME) -> Filter:
    """Parse a filter expression; an empty one matches everything.

    Raise `FilterError`, also if no exchange can match at the moment when the filter is evaluated.
    """
    if len(text) > _MAX_LENGTH:
        raise FilterError(f"the filter has {counted(len(text), 'character')}; at most {_MAX_LENGTH} are read")
    alternatives: list[list[Filter]] = [[]]
    dead: list[str] = [""]
    for token in _tokens(text):
        if token == "|":  # noqa: S105 - no password
            alternatives.append([])
            dead.append("")
        else:
            alternatives[-1].append(_term(token))
            dead[-1] = dead[-1] or (token if _normalized(token) in moment.never else "")
    if len(alternatives) > 1 and not all(alternatives):
        raise FilterError("nothing stands beside `|`; write for instance status:5xx | held:true")
    if all(dead):
        raise FilterError(f"nothing matches: {dead[0]!r} is never true of {moment.name}")
    return lambda exchange: any(all(term(exchange) for term in terms) for terms in alternatives)


def _normalized(token: str) -> str:
    """Return a term in its normalized spelling."""
    key, _, value = token.lower().replace('"', "").partition(":")
    sign = "-" if key.startswith("-") else ""
    key = key.removeprefix("-")
    return f"{sign}{SHORT.get(key, key)}:{value}"


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"a quotation mark stands alone in {text[position:].strip()[:100]!r}")
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


def _term(token: str) -> Filter:
    if token.startswith("-") and len(token) > 1:
        inner = _term(token[1:])
        return lambda exchange: not inner(exchange)
    key, colon, value = token.partition(":")
    if not colon or '"' in key:
        return _path(token.replace('"', ""))
    key = SHORT.get(key.lower(), key.lower())
    value = value.replace('"', "")
    if key not in KEYS:
        raise FilterError(f"there is no key {key[:100]!r}; {_nearest(key)}")
    if not value:
        raise FilterError(f"{key}: needs a value: {KEYS[key]}")
    return _PARSERS[key](value)


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, [*KEYS, *SHORT], n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KEYS)}"


def _endpoint(value: str) -> Filter:
    known = [str(endpoint) for endpoint in Endpoint]
    if value.lower() == "blob":
        return lambda exchange: exchange.endpoint in (Endpoint.CONFIG, Endpoint.LAYER)
    if value.lower() not in known:
        raise FilterError(f"there is no endpoint {value[:100]!r}; there are blob, {', '.join(known)}")
    wanted = Endpoint(value.lower())
    return lambda exchange: exchange.endpoint is wanted


def _status(value: str) -> Filter:
    match = _STATUS.fullmatch(value)
    if match is None:
        raise FilterError(f"status {value[:100]!r}: write {KEYS['status']}")
    if match[4]:
        return lambda exchange: exchange.status is None
    if match[1]:
        first, last = int(match[1]) * 100, int(match[1]) * 100 + 99
    else:
        first, last = int(match[2]), int(match[3] or match[2])
    return lambda exchange: exchange.status is not None and first <= exchange.status <= last


def _held(value: str) -> Filter:
    if value.lower() not in ("true", "false"):
        raise FilterError(f"held {value[:100]!r}: write held:true or held:false")
    wanted = value.lower() == "true"
    return lambda exchange: (exchange.held_since is not None) == wanted


def _ended(value: str) -> Filter:
    known = [*(str(each) for each in Ended), "no"]
    if value.lower() not in known:
        raise FilterError(f"ended {value[:100]!r}: there are {', '.join(known)}")
    wanted = None if value.lower() == "no" else Ended(value.lower())
    return lambda exchange: exchange.ended is wanted


def _origin(value: str) -> Filter:
    known = [str(each) for each in Origin]
    if value.lower() not in known:
        raise FilterError(f"origin {value[:100]!r}: there are {', '.join(known)}")
    wanted = Origin(value.lower())
    return lambda exchange: exchange.origin is wanted


def _cache(value: str) -> Filter:
    known = [str(each) for each in Cache]
    if value.lower() not in (*known, "none"):
        raise FilterError(f"cache {value[:100]!r}: there are {', '.join(known)}, none")
    wanted = None if value.lower() == "none" else Cache(value.lower())
    return lambda exchange: exchange.cache is wanted


def _protocol(value: str) -> Filter:
    if value.lower() not in ("http/1.1", "h2"):
        raise FilterError(f"protocol {value[:100]!r}: write {KEYS['protocol']}")
    return lambda exchange: exchange.protocol == value.lower()


def _method(value: str) -> Filter:
    return lambda exchange: exchange.method == value.upper()


def _fault(value: str) -> Filter:
    matches = _glob(value)
    return lambda exchange: any(map(matches, exchange.faults))


def _rule(value: str) -> Filter:
    matches = _glob(value)
    return lambda exchange: exchange.rule is not None and matches(exchange.rule)


def _client(value: str) -> Filter:
    matches = _part(value)
    return lambda exchange: matches(exchange.user_agent) or matches(exchange.client)


def _path(value: str) -> Filter:
    matches = _part(value)
    return lambda exchange: matches(exchange.path)


def _repository(value: str) -> Filter:
    matches = _glob(value)
    return lambda exchange: any(map(matches, exchange.target.names))


def _reference(value: str) -> Filter:
    matches = _glob(value)
    return lambda exchange: matches(exchange.target.reference)


def _namespace(value: str) -> Filter:
    matches = _glob(value)
    return lambda exchange: matches(exchange.target.namespace)


def _glob(value: str) -> Callable[[str], bool]:
    """The whole text, in any case; `*` crosses `/`."""
    pattern = re.compile(fnmatch.translate(value), re.IGNORECASE)
    return lambda text: pattern.match(text) is not None


def _part(value: str) -> Callable[[str], bool]:
    """A part of the text, or the whole by a glob, in any case."""
    if any(wild in value for wild in "*?["):
        return _glob(value)
    wanted = value.lower()
    return lambda text: wanted in text.lower()


_PARSERS: dict[str, Callable[[str], Filter]] = {
    "endpoint": _endpoint,
    "repository": _repository,
    "reference": _reference,
    "namespace": _namespace,
    "origin": _origin,
    "method": _method,
    "status": _status,
    "client": _client,
    "cache": _cache,
    "fault": _fault,
    "rule": _rule,
    "held": _held,
    "ended": _ended,
    "protocol": _protocol,
    "path": _path,
}
