"""Formats exchanges as HAR 1.2 (HTTP Archive), which browsers' developer tools and other tools read.

Source: http://www.softwareishard.com/blog/har-12-spec/. Fields that HAR does not have begin with `_`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from brokenreg import __version__
from brokenreg.http.dates import rfc3339
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import Bodies, Body
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.replay import url_of
from brokenreg.traffic.timeline_events import HeadersSent
from brokenreg.traffic.timeline_text import point_as_json

_UNKNOWN = -1


def har_pieces(exchanges: Iterable[Exchange], bodies: Bodies, base: str) -> Iterator[str]:
    """Yield a HAR document in one piece for each exchange, so that the caller can pause in between.

    `base` is the URL for requests without a Host. Connections without a request are omitted.
    """
    creator = json.dumps({"name": "brokenreg", "version": __version__})
    yield f'{{"log":{{"version":"1.2","creator":{creator},"entries":['
    separator = "\n"
    for exchange in exchanges:
        if exchange.endpoint is Endpoint.CONNECT:
            continue
        yield separator + json.dumps(har_entry(exchange, bodies, base), separators=(",", ":"))
        separator = ",\n"
    yield "\n]}}\n"


def har_entry(exchange: Exchange, bodies: Bodies, base: str) -> dict[str, Any]:
    """Return the entry for an exchange. Times are in milliseconds. A size of -1 is unknown."""
    kept = bodies.of(exchange)
    waited, received = _times(exchange)
    entry = {
        "startedDateTime": rfc3339(exchange.started, "milliseconds"),
        "time": round(waited + received, 3),
        "request": _request(exchange, base, kept.request),
        "response": _response(exchange, kept.response),
        "cache": {},
        "timings": {"send": 0, "wait": round(waited, 3), "receive": round(received, 3)},
        "connection": exchange.client,
        "_id": exchange.id,
        "_endpoint": str(exchange.endpoint),
        "_timeline": [point_as_json(point, round(point.at * 1000, 3)) for point in exchange.timeline],
    }
    more = {"_faults": exchange.faults, "_rule": exchange.rule, "_ended": exchange.ended}
    return {**entry, **{name: value for name, value in more.items() if value}}


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
