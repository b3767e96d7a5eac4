"""Turns lines of JSON, one for each exchange, into exchanges. They have neither headers nor bodies."""

from __future__ import annotations

import json
from typing import Any

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.bodies import NOTHING, Kept
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.explained_rule import Saved
from brokenreg.traffic.redaction import redact_line, redact_query
from brokenreg.traffic.saved.members import MissingMemberError, count_in, number_in, text_in, texts_in
from brokenreg.traffic.saved.targets import own_target
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED, REQUEST_RECEIVED
from brokenreg.traffic.upstream_events import Cache

LONGEST_LINE = 256 * 1024
"""Maximum length of a line, in bytes."""

_LONGEST_WORD = 1024
_MOST_FAULTS = 32
_ENDPOINTS = frozenset(Endpoint)
_PROTOCOL = "HTTP/"
_SAVED = Saved(has_messages=False)


def is_summary(line: bytes) -> bool:
    """Return whether a line is an exchange, or the ready line before the first one."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and (
        document.get("event") == "ready" or {"id", "method", "path", "endpoint"} <= document.keys()
    )


def read_summary(line: bytes) -> tuple[Exchange, Kept, str] | None:
    """Return the exchange of a line, or None for the ready line. Raise `MissingMemberError`."""
    try:
        document = json.loads(line)
    except RecursionError:
        raise MissingMemberError("is nested too deeply") from None
    except ValueError:
        raise MissingMemberError("is not JSON") from None
    if not isinstance(document, dict):
        raise MissingMemberError("is not an object")
    if document.get("event") == "ready":
        return None
    return exchange_of(document), NOTHING, ""


def exchange_of(document: dict[str, Any]) -> Exchange:
    """Return the exchange that an object describes. Raise `MissingMemberError`."""
    if not isinstance(document.get("path"), str):
        raise MissingMemberError("has no path")
    started = number_in(document, "time")
    if started is None:
        raise MissingMemberError("has no time")
    path, query = redact_line(text_in(document, "path")), redact_query(text_in(document, "query"))
    user_agent = redact_line(text_in(document, "user_agent", _LONGEST_WORD))
    exchange = Exchange(
        id=count_in(document, "id") or 0,
        method=text_in(document, "method"),
        path=path,
        query=query,
        http_version=text_in(document, "protocol", 40).removeprefix(_PROTOCOL),
        scheme="http",
        client=text_in(document, "client", _LONGEST_WORD),
        target=_target(document, path, query),
        request_headers=(("user-agent", user_agent),) if user_agent else (),
        started=started,
        status=count_in(document, "status"),
        request_bytes=count_in(document, "request_bytes") or 0,
        response_bytes=count_in(document, "response_bytes") or 0,
        origin=Origin.SECOND if document.get("origin") == Origin.SECOND else Origin.REGISTRY,
        faults=texts_in(document, "faults", _MOST_FAULTS),
        rule=_text_or_none(document, "rule"),
        replay_of=count_in(document, "replay_of"),
        edited=_text_or_none(document, "edited"),
        saved=_SAVED,
    )
    exchange.cache = next((each for each in Cache if each == document.get("cache")), None)
    _add_end(exchange, document)
    return exchange


def _add_end(exchange: Exchange, document: dict[str, Any]) -> None:
    exchange.timeline.add(REQUEST_RECEIVED, 0.0)
    exchange.ended = next((each for each in Ended if each == document.get("ended")), None)
    if exchange.ended is not None:
        exchange.timeline.add(EXCHANGE_ENDED, max(0.0, number_in(document, "duration") or 0.0))
    elif document.get("held") is True:
        exchange.held_since = exchange.started
        exchange.held_by = _text_or_none(document, "held_by")


def _text_or_none(document: dict[str, Any], name: str) -> str | None:
    text = text_in(document, name, _LONGEST_WORD)
    return redact_line(text) if text else None


def _target(document: dict[str, Any], path: str, query: str) -> Target:
    """Return the target. Its names are those of the line, which the options of the server determine."""
    endpoint = text_in(document, "endpoint", _LONGEST_WORD)
    if endpoint == Endpoint.CONNECT:
        return Target(Endpoint.CONNECT)
    parsed = own_target(path, query, {})
    if endpoint not in _ENDPOINTS or parsed.error is not None:
        return parsed
    names = {name: document.get(name) for name in ("namespace", "repository", "reference")}
    return own_target(path, query, {"endpoint": endpoint, **names})
