"""HAR 1.2 exports conform to the specification."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.target import Endpoint, Target
from brokenreg.traffic.bodies import Bodies, Body, Kept
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.timeline import Timeline
from brokenreg.traffic.timeline_events import (
    ExchangeEnded,
    FaultsApplied,
    HeadersSent,
    RequestReceived,
    TimelineEvent,
)
from tests.server import Brokenreg
from tests.traffic import making

BASE = "http://127.0.0.1:8080"
PAIR = {"name": str, "value": str}
REQUEST = {
    "method": str,
    "url": str,
    "httpVersion": str,
    "cookies": [PAIR],
    "headers": [PAIR],
    "queryString": [PAIR],
    "headersSize": int,
    "bodySize": int,
}
RESPONSE = {
    "status": int,
    "statusText": str,
    "httpVersion": str,
    "cookies": [PAIR],
    "headers": [PAIR],
    "content": {"size": int, "mimeType": str},
    "redirectURL": str,
    "headersSize": int,
    "bodySize": int,
}
NUMBER = (int, float)
ENTRY = {
    "startedDateTime": str,
    "time": NUMBER,
    "request": REQUEST,
    "response": RESPONSE,
    "cache": {},
    "timings": {"send": NUMBER, "wait": NUMBER, "receive": NUMBER},
}
HAR = {"log": {"version": str, "creator": {"name": str, "version": str}, "entries": [ENTRY]}}
OPTIONAL = {"postData", "text", "encoding", "comment", "connection"}


def timeline(*points: tuple[TimelineEvent, float]) -> Timeline:
    made = Timeline()
    for event, at in points:
        made.add(event, at)
    return made


def check(document: Any, shape: Any, where: str = "") -> None:
    """Check that all required members exist with their types, and that there are no unknown members."""
    if isinstance(shape, list):
        assert isinstance(document, list), where
        for place, each in enumerate(document):
            check(each, shape[0], f"{where}[{place}]")
    elif isinstance(shape, dict):
        assert shape.keys() <= document.keys(), where
        more = document.keys() - shape.keys()
        assert not {name for name in more if name not in OPTIONAL and not name.startswith("_")}, where
        for name, each in shape.items():
            check(document[name], each, f"{where}.{name}")
    else:
        assert isinstance(document, shape), where


def read(exchanges: list[Exchange], bodies: Bodies) -> Any:
    document = json.loads("".join(har_pieces(exchanges, bodies, BASE)))
    check(document, HAR)
    for entry in document["log"]["entries"]:
        assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
        assert entry["time"] == round(sum(entry["timings"].values()), 3) or entry["time"] >= 0
        assert all(value >= 0 for value in entry["timings"].values())
    return document["log"]


def exchange(path: str = "/v2/", **more: Any) -> Exchange:
    return making.exchange(path, **{"id": 7, "started": 1_767_268_800.25, **more})


def test_an_exchange_in_full() -> None:
    seen = exchange(
        "/v2/app/manifests/v1",
        query="a=b%20c&ns=",
        request_headers=(("host", "reg:5000"), ("accept", "*/*")),
        status=503,
        response_headers=(("content-type", "application/json"), ("location", "/x")),
        response_bytes=9,
        faults=("error",),
        rule="rule 3",
        ended=Ended.COMPLETE,
        timeline=timeline(
            (RequestReceived(), 0.0),
            (FaultsApplied(("error",)), 0.001),
            (HeadersSent(), 0.002),
            (ExchangeEnded(), 0.0055),
        ),
    )
    bodies = Bodies()
    bodies.keep(seen, Kept(response=Body(b"\xff\x00", 9)))
    (entry,) = read([seen], bodies)["entries"]
    assert entry["startedDateTime"] == "2026-01-01T12:00:00.250Z"
    assert entry["request"]["url"] == "http://reg:5000/v2/app/manifests/v1?a=b%20c&ns="
    assert entry["request"]["queryString"] == [{"name": "a", "value": "b c"}, {"name": "ns", "value": ""}]
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (503, "Service Unavailable")
    assert entry["response"]["redirectURL"] == "/x"
    assert entry["timings"] == {"send": 0, "wait": 2.0, "receive": 3.5}
    assert entry["time"] == 5.5
    assert entry["response"]["content"] == {
        "size": 9,
        "mimeType": "application/json",
        "text": "/wA=",
        "encoding": "base64",
        "comment": "the first 2 of 9 bytes",
    }
    assert entry["_timeline"][1] == {
        "kind": "faults-applied",
        "at": 1.0,
        "text": "fault applied: error",
        "data": {"faults": ["error"]},
    }
    assert (entry["_faults"], entry["_rule"], entry["_ended"]) == (["error"], "rule 3", "complete")


@pytest.mark.parametrize(
    ("started", "told"),
    [
        (9.79e11, "9999-12-31T23:59:59.000Z"),  # the year 33,000
        (1e300, "9999-12-31T23:59:59.000Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
    ],
)
def test_any_time_of_the_clock(started: float, told: str) -> None:
    seen = exchange(
        started=started, status=200, ended=Ended.COMPLETE, timeline=timeline((ExchangeEnded(), 0.1))
    )
    (entry,) = read([seen], Bodies())["entries"]
    assert entry["startedDateTime"] == told


def test_none_in_flight_and_a_connection() -> None:
    assert read([], Bodies())["entries"] == []
    connection = exchange(target=Target(Endpoint.CONNECT))
    (entry,) = read([connection, exchange()], Bodies())["entries"]
    assert (entry["response"]["status"], entry["request"]["url"]) == (0, f"{BASE}/v2/")


@given(st.text(), st.text(), st.text(), st.binary(max_size=50))
def test_any_input_of_clients(path: str, query: str, value: str, body: bytes) -> None:
    seen = exchange(path, query=query, request_headers=((value, value), ("host", value)), method=value)
    bodies = Bodies()
    bodies.keep(seen, Kept(request=Body(body, len(body)), response=Body(body, len(body))))
    assert len(read([seen, seen], bodies)["entries"]) == 2


def test_the_control_api_gives_what_the_filter_matches(registry: Brokenreg) -> None:
    secret = {"authorization": "Basic c2VjcmV0"}
    for tag in ("a", "b"):
        httpx.get(f"{registry.url}/v2/har/app/manifests/{tag}?token=c2VjcmV0", headers=secret)
    response = httpx.get(f"{registry.control}/v1/exchanges.har", params={"filter": "reference:b"})
    assert "c2VjcmV0" not in response.text
    check(response.json(), HAR)
    (entry,) = response.json()["log"]["entries"]
    assert entry["request"]["url"] == f"{registry.url}/v2/har/app/manifests/b?token=***"
    assert "MANIFEST_UNKNOWN" in entry["response"]["content"]["text"]
