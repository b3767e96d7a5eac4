"""Formats exchanges as HAR 1.2 (HTTP Archive), which browsers' developer tools and other tools read.

Source: http://www.softwareishard.com/blog/har-12-spec/. Fields that HAR does not have begin with `_`.
traffic/saved/ reads them again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from brokenreg import __version__
from brokenreg.http.dates import rfc3339
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Bodies, Body
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.explained_rule import ExplainedRules
from brokenreg.traffic.har_members import body_members, own_members
from brokenreg.traffic.replay import url_of
from brokenreg.traffic.timeline_events import HeadersSent

_UNKNOWN = -1

_SEPARATOR = ",\n"
"""What separates entries. No entry contains a line break."""

_MOST_CONNECTIONS = 1000
"""Maximum number of connections without a request that an entry lists: the newest ones."""


Explain = Callable[[Exchange], ExplainedRules | None]
"""Returns the explanations of the rules that were evaluated for an exchange, if they are known."""


def har_pieces(
    exchanges: Iterable[Exchange],
    bodies: Bodies,
    base: str,
    explain: Explain = lambda _: None,
    replica: str | None = None,
) -> Iterator[str]:
    """Yield a HAR document in one piece for each exchange, so that the caller can pause in between.

    `base` is the URL for requests without a Host. Connections without a request are no entries: the entry
    that follows, or else the end, lists them in `_connections`. `replica` is the replica of a fleet that has
    the exchanges.
    """
    yield _begin()
    separator, replica_member = "\n", {} if replica is None else {"_replica": replica}
    connections: list[dict[str, Any]] = []
    for exchange in exchanges:
        if exchange.endpoint is Endpoint.CONNECT:
            connection = _connection(exchange, explain(exchange)) | replica_member
            connections = [*connections[1 - _MOST_CONNECTIONS :], connection]
            continue
        entry = har_entry(exchange, bodies, base, explain(exchange)) | replica_member
        if connections:
            entry["_connections"], connections = connections, []
        yield separator + _compact(entry)
        separator = _SEPARATOR
    yield _end(connections)


def merged_har(documents: Iterable[str], most: int) -> str:
    """Return the newest entries of documents of `har_pieces` as one document, at most `most`."""
    entries: list[tuple[float, str]] = []
    connections: list[dict[str, Any]] = []
    for document in documents:
        _, _, after_head = document.partition("[")
        found, _, rest = after_head.rpartition("\n]")
        entries += ((json.loads(each)["_started"], each) for each in found[1:].split(_SEPARATOR) if each)
        connections += json.loads(f"{{{rest.strip().removeprefix(',')[:-1]}").get("_connections", [])
    entries.sort()
    connections.sort(key=lambda each: float(each["_started"]))
    joined = _SEPARATOR.join(entry for _, entry in entries[-most:])
    return f"{_begin()}\n{joined}{_end(connections[-_MOST_CONNECTIONS:])}"


def _end(connections: list[dict[str, Any]]) -> str:
    more: dict[str, Any] = {"_connections": connections} if connections else {}
    return f"\n],{_compact(more)[1:]}}}\n" if more else "\n]}}\n"


def _begin() -> str:
    creator = json.dumps({"name": "brokenreg", "version": __version__})
    return f'{{"log":{{"version":"1.2","creator":{creator},"entries":['


def har_entry(
    exchange: Exchange, bodies: Bodies, base: str, explained: ExplainedRules | None = None
) -> dict[str, Any]:
    """Return the entry for an exchange. Times are in milliseconds. A size of -1 is unknown."""
    kept = bodies.of(exchange)
    waited, received = _times(exchange)
    request = _request(exchange, base, kept.request)
    return {
        "startedDateTime": rfc3339(exchange.started, "milliseconds"),
        "time": round(waited + received, 3),
        "request": request,
        "response": _response(exchange, kept.response),
        "cache": {},
        "timings": {"send": 0, "wait": round(waited, 3), "receive": round(received, 3)},
        "connection": exchange.client,
        **own_members(exchange, request["url"], explained),
    }


def _connection(exchange: Exchange, explained: ExplainedRules | None) -> dict[str, Any]:
    """Return a connection without a request, like an entry."""
    return {
        "connection": exchange.client,
        "_status": exchange.status,
        **own_members(exchange, "", explained),
    }


def _compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _request(exchange: Exchange, base: str, body: Body | None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": url_of(exchange, base),
        "httpVersion": f"HTTP/{exchange.http_version}",
        "cookies": [],
        "headers": _pairs(exchange.request_headers),
        "queryString": _pairs(parse_qsl(exchange.query, keep_blank_values=True)),
        "headersSize": _UNKNOWN,
        "bodySize": exchange.request_bytes,
    }
    if body is not None:
        kind = exchange.request_header("content-type")
        request["postData"] = {"mimeType": kind, "params": [], "text": body.data.decode(errors="replace")}
        if body.is_redacted:
            request["postData"]["comment"] = body.remark
        request["postData"] |= body_members(body, exchange.request_bytes)
    return request


def _response(exchange: Exchange, body: Body | None) -> dict[str, Any]:
    return {
        "status": exchange.status or 0,
        "statusText": _phrase(exchange.status),
        "httpVersion": f"HTTP/{exchange.http_version}",
        "cookies": [],
        "headers": _pairs(exchange.response_headers),
        "content": _content(exchange, body),
        "redirectURL": exchange.response_header("location"),
        "headersSize": _UNKNOWN,
        "bodySize": exchange.response_bytes,
    }


def _content(exchange: Exchange, body: Body | None) -> dict[str, Any]:
    content: dict[str, Any] = {
        "size": exchange.response_bytes,
        "mimeType": exchange.response_header("content-type"),
    }
    if body is not None:
        try:
            content["text"] = body.data.decode()
        except UnicodeDecodeError:
            content |= {"text": base64.b64encode(body.data).decode(), "encoding": "base64"}
        if not body.is_whole:
            content["comment"] = body.remark
        content |= body_members(body, exchange.response_bytes, is_exact=True)
    return content


def _pairs(pairs: Headers | list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _times(exchange: Exchange) -> tuple[float, float]:
    """Return the milliseconds until the headers were sent, and from then until the last event."""
    last = exchange.timeline[-1].at if exchange.timeline else 0.0
    sent = exchange.timeline.time_of(HeadersSent)
    head = last if sent is None else sent
    return head * 1000, max(0.0, last - head) * 1000


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return ""
