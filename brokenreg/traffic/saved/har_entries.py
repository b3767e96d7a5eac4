"""Turns entries of HAR files into exchanges: ours completely, those of other tools as far as possible."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.bodies import NOTHING, Kept
from brokenreg.traffic.exchange import Ended, Exchange, Headers, Origin
from brokenreg.traffic.explained_rule import ExplainedRules, Saved
from brokenreg.traffic.har_members import split_url
from brokenreg.traffic.redaction import redact_header, redact_line, redact_query
from brokenreg.traffic.saved.events import event_in, timeline_in
from brokenreg.traffic.saved.har_bodies import kept_in
from brokenreg.traffic.saved.har_rules import outcomes_of, rules_in
from brokenreg.traffic.saved.har_timings import add_timings
from brokenreg.traffic.saved.members import (
    MissingMemberError,
    count_in,
    list_in,
    number_in,
    object_in,
    text_in,
    texts_in,
    time_of,
)
from brokenreg.traffic.saved.targets import foreign_target, own_target
from brokenreg.traffic.timeline_events import FabricationProgress, FabricationQueued, WorkProgress
from brokenreg.traffic.upstream_events import Cache

_MOST_HEADERS = 1000
_LONGEST_WORD = 1024
_MOST_FAULTS = 32
_MOST_CONNECTIONS = 10_000

_VERSIONS = {"h2": "2", "2.0": "2", "h3": "3", "3.0": "3", "h2c": "2"}
_PROTOCOL = "http/"


class HAREntries:
    """Turns entries into exchanges. `creator` is the program that wrote the file."""

    def __init__(self, creator: str) -> None:
        self._creator = creator

    def read(self, entry: Any) -> tuple[Exchange, Kept, str]:
        """Return the exchange of an entry, its bodies, and what of it could not be read, or "".

        Raise `MissingMemberError`. The id is 0 if the entry has none.
        """
        if not isinstance(entry, dict):
            raise MissingMemberError("is not an object")
        request, response = object_in(entry, "request"), object_in(entry, "response")
        url = text_in(request, "url")
        if not url:
            raise MissingMemberError("has no request.url")
        scheme, authority, path, query = split_url(url)
        if not authority and "_path" not in entry:
            raise MissingMemberError("has a request.url that is not an absolute URL")
        started = number_in(entry, "_started")
        if started is None:
            started = time_of(text_in(entry, "startedDateTime"))
        if started is None:
            raise MissingMemberError("has no valid startedDateTime")
        is_own = "_timeline" in entry
        path = redact_line(text_in(entry, "_path") if "_path" in entry else path)
        query = redact_query(text_in(entry, "_query") if "_query" in entry else query)
        exchange = Exchange(
            id=count_in(entry, "_id") or 0,
            method=text_in(request, "method") or ("" if is_own else "GET"),
            path=path,
            query=query,
            http_version=_version(text_in(request, "httpVersion", 40)),
            scheme=text_in(entry, "_scheme", 40) or scheme,
            client=text_in(entry, "connection", _LONGEST_WORD) if is_own else self._creator,
            target=own_target(path, query, _said(entry)) if is_own else foreign_target(path, query),
            request_headers=_headers(request, "" if is_own else authority),
            started=started,
            status=count_in(response, "status") or None,
            response_headers=_headers(response, ""),
        )
        if exchange.status and not 100 <= exchange.status <= 999:
            exchange.status = None
        exchange.request_bytes = max(0, int(number_in(request, "bodySize") or 0))
        exchange.response_bytes = _response_bytes(response)
        if is_own:
            problem = _add_own(exchange, entry)
        else:
            add_timings(exchange, entry)
            exchange.saved, problem = Saved(is_own=False), ""
        return exchange, kept_in(exchange, request, response), problem

    def connections(self, document: Any) -> list[tuple[Exchange, Kept, str]]:
        """Return the connections without a request in the member `_connections` of an object."""
        said = list_in(document, "_connections", _MOST_CONNECTIONS)
        return [_connection(each) for each in said if isinstance(each, dict)]


def _connection(said: dict[str, Any]) -> tuple[Exchange, Kept, str]:
    exchange = Exchange(
        id=count_in(said, "_id") or 0,
        method="",
        path="",
        query="",
        http_version="",
        scheme=text_in(said, "_scheme", 40),
        client=text_in(said, "connection", _LONGEST_WORD),
        target=Target(Endpoint.CONNECT),
        started=number_in(said, "_started") or 0.0,
        status=count_in(said, "_status"),
    )
    return exchange, NOTHING, _add_own(exchange, said)


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry of ours says about the target. Versions before 1.0 have only `_endpoint`."""
    said = object_in(entry, "_target")
    endpoint = text_in(entry, "_endpoint")
    return {"endpoint": endpoint, **said} if said or endpoint == Endpoint.CONFIG else {}


def _add_own(exchange: Exchange, entry: dict[str, Any]) -> str:
    """Add what only our files have. Return what of it could not be read, or ""."""
    timeline, problem = timeline_in(entry)
    rules = rules_in(entry)
    exchange.timeline = timeline
    exchange.origin = _one_of(Origin, text_in(entry, "_origin")) or Origin.REGISTRY
    exchange.cache = _one_of(Cache, text_in(entry, "_cache"))
    exchange.ended = _one_of(Ended, text_in(entry, "_ended"))
    exchange.faults = texts_in(entry, "_faults", _MOST_FAULTS)
    exchange.rule = _text_or_none(entry, "_rule")
    exchange.rule_outcomes = outcomes_of(rules or ExplainedRules())
    exchange.replay_of = count_in(entry, "_replay_of")
    exchange.held_since = number_in(entry, "_held_since")
    exchange.held_by = _text_or_none(entry, "_held_by")
    exchange.edited = _text_or_none(entry, "_edited")
    exchange.progress = _progress(entry)
    exchange.has_wrong_bytes = entry.get("_wrong_bytes") is True
    exchange.saved = Saved(rules)
    return problem


def _text_or_none(entry: dict[str, Any], name: str) -> str | None:
    return redact_line(text_in(entry, name, _LONGEST_WORD)) if isinstance(entry.get(name), str) else None


def _progress(entry: dict[str, Any]) -> WorkProgress | None:
    event = event_in(object_in(entry, "_progress"))
    return event if isinstance(event, FabricationQueued | FabricationProgress) else None


def _one_of(kind: type[Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return None


def _version(text: str) -> str:
    """Return `1.1` for `HTTP/1.1`, and `2` for `h2`, `HTTP/2.0` and so on."""
    version = text.lower().removeprefix(_PROTOCOL)
    return _VERSIONS.get(version, version)


def _headers(message: Any, authority: str) -> Headers:
    """Return the headers of a message, with secrets replaced; with `authority`, as Host if it is missing."""
    found = [
        _header(name.lower(), text_in(each, "value"))
        for each in list_in(message, "headers", _MOST_HEADERS)
        if not (name := text_in(each, "name", _LONGEST_WORD)).startswith(":")  # of HTTP/2, not of the message
    ]
    if authority and not any(name == "host" for name, _ in found):
        found.insert(0, ("host", authority))
    return tuple(found)


@lru_cache(4096)
def _header(name: str, value: str) -> tuple[str, str]:
    return name, redact_header(name, value)


def _response_bytes(response: Any) -> int:
    """Return the size of a response's body: as it was sent, or else as it was decoded."""
    size = number_in(response, "bodySize")
    if size is None or size < 0:
        size = number_in(object_in(response, "content"), "size")
    return max(0, int(size or 0))
