"""HAR files of other tools, as far as they can be read. The samples have the shapes of theirs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.traffic.timeline_text import text_of

DIGEST = f"sha256:{'ab' * 32}"

CHROMIUM = {
    "_initiator": {"type": "script", "stack": {"callFrames": []}},
    "_priority": "High",
    "_resourceType": "fetch",
    "cache": {},
    "connection": "1234",
    "pageref": "page_1",
    "request": {
        "method": "GET",
        "url": "https://registry-1.docker.io/v2/library/app/manifests/1.2?ns=docker.io#x",
        "httpVersion": "h2",
        "headers": [
            {"name": ":authority", "value": "registry-1.docker.io"},
            {"name": "Accept", "value": "*/*"},
            {"name": "user-agent", "value": "Mozilla/5.0"},
        ],
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": 0,
    },
    "response": {
        "status": 200,
        "statusText": "",
        "httpVersion": "h2",
        "headers": [{"name": "Content-Type", "value": "application/json"}],
        "cookies": [],
        "content": {"size": 11, "mimeType": "application/json", "text": '{"layers":1}'},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_transferSize": 300,
        "_error": None,
        "_fetchedViaServiceWorker": False,
    },
    "serverIPAddress": "127.0.0.1",
    "startedDateTime": "2026-01-01T12:00:00.250Z",
    "time": 60.5,
    "timings": {
        "blocked": 2, "dns": 3, "ssl": 4, "connect": 5, "send": 0.5, "wait": 40, "receive": 10,
        "_blocked_queueing": 1,
    },
}  # fmt: skip

FIREFOX = {
    "startedDateTime": "2026-01-01T13:00:00.250+01:00",
    "request": {
        "bodySize": 0, "method": "GET", "url": f"http://127.0.0.1:8080/v2/app/blobs/{DIGEST}",
        "httpVersion": "HTTP/1.1", "headers": [{"name": "Host", "value": "127.0.0.1:8080"}], "cookies": [],
        "queryString": [], "headersSize": 300,
    },
    "response": {
        "status": 0, "statusText": "", "httpVersion": "", "headers": [], "cookies": [],
        "content": {"mimeType": "text/plain", "size": 0, "text": ""}, "redirectURL": "", "headersSize": -1,
        "bodySize": -1,
    },
    "cache": {}, "timings": {}, "time": 0, "_securityState": "insecure",
}  # fmt: skip

MITMPROXY = {
    "startedDateTime": "2026-01-01T12:00:00.250000+00:00",
    "time": 12.5,
    "request": {
        "method": "PUT", "url": "https://reg.example:5000/v2/app/manifests/1", "httpVersion": "HTTP/2.0",
        "cookies": [], "headers": [{"name": "content-type", "value": "application/json"}], "queryString": [],
        "headersSize": 90, "bodySize": 2,
        "postData": {"mimeType": "application/json", "text": "{}", "params": []},
    },
    "response": {
        "status": 201, "statusText": "Created", "httpVersion": "HTTP/2.0", "cookies": [], "headers": [],
        "content": {"size": 0, "compression": 0, "mimeType": "", "text": ""}, "redirectURL": "",
        "headersSize": 100, "bodySize": 0,
    },
    "cache": {},
    "timings": {"connect": -1.0, "ssl": -1.0, "send": 1.5, "receive": 1.0, "wait": 10.0},
    "serverIPAddress": "127.0.0.1",
}  # fmt: skip


def read(tmp_path: Path, creator: str, *entries: dict[str, Any]) -> tuple[TrafficFile, list[Exchange]]:
    pages = [{"id": "page_1", "startedDateTime": "2026-01-01T12:00:00Z", "title": "x", "pageTimings": {}}]
    document = {"log": {"version": "1.2", "creator": {"name": creator, "version": "1"}, "pages": pages,
                        "entries": entries}}  # fmt: skip
    path = tmp_path / "other.har"
    path.write_text(json.dumps(document, indent=2), encoding="utf-8-sig")
    file = TrafficFile(path, TrafficLog())
    asyncio.run(file.read())
    return file, [*file.log]


def test_chromium(tmp_path: Path) -> None:
    file, (seen,) = read(tmp_path, "WebInspector", CHROMIUM)
    assert file.unread.line == ""
    assert (seen.method, seen.status, seen.ended, seen.client) == ("GET", 200, Ended.COMPLETE, "WebInspector")
    assert (seen.scheme, seen.protocol, seen.path) == ("https", "h2", "/v2/library/app/manifests/1.2")
    assert (seen.endpoint, seen.target.reference) == (Endpoint.MANIFEST, "1.2")
    assert seen.target.repository == "docker.io/library/app"
    assert seen.request_headers[:2] == (("host", "registry-1.docker.io"), ("accept", "*/*"))
    assert seen.response_bytes == 11
    assert seen.duration == pytest.approx(0.0605)
    assert [(text_of(event), round(at * 1000, 1)) for event, at in seen.timeline] == [
        ("request received", 10.5),
        ("headers sent", 50.5),
        ("ended", 60.5),
    ]
    body = file.log.bodies.of(seen).response
    assert body is not None
    assert body.data == b'{"layers":1}'


@pytest.mark.parametrize(
    ("error", "ended"),
    [("net::ERR_ABORTED", Ended.DISCONNECTED), ("net::ERR_CONNECTION_RESET", Ended.ABORTED)],
)
def test_a_failure_in_chromium(tmp_path: Path, error: str, ended: Ended) -> None:
    response = {**CHROMIUM["response"], "_error": error}  # type: ignore[dict-item]
    _, (seen,) = read(tmp_path, "WebInspector", {**CHROMIUM, "response": response})
    assert seen.ended is ended
    assert f"cut short: {error}" in [text_of(event) for event, _ in seen.timeline]


def test_a_request_without_a_response_in_firefox(tmp_path: Path) -> None:
    _, (seen,) = read(tmp_path, "Firefox", FIREFOX)
    assert (seen.status, seen.ended, seen.started) == (None, Ended.ABORTED, 1_767_268_800.25)
    assert (seen.endpoint, seen.target.reference) == (Endpoint.LAYER, DIGEST)


def test_mitmproxy(tmp_path: Path) -> None:
    file, (seen,) = read(tmp_path, "mitmproxy", MITMPROXY)
    assert (seen.method, seen.status, seen.request_bytes, seen.http_version) == ("PUT", 201, 2, "2")
    kept = file.log.bodies.of(seen).request
    assert kept is not None
    assert kept.data == b"{}"


def test_a_page_that_is_no_registry(tmp_path: Path) -> None:
    page = {**CHROMIUM, "request": {**CHROMIUM["request"], "url": "https://example.com/v2/index.html"}}  # type: ignore[dict-item]
    blob = {**CHROMIUM, "request": {**CHROMIUM["request"], "url": f"https://r/v2/a/blobs/{DIGEST}"}}  # type: ignore[dict-item]
    data = {**CHROMIUM, "request": {**CHROMIUM["request"], "url": "data:text/plain,x"}}  # type: ignore[dict-item]
    file, (other, layer) = read(tmp_path, "WebInspector", page, blob, data)
    assert (other.endpoint, other.target.error) == (Endpoint.OTHER, None)
    assert file.log.bodies.of(layer).response is None, "blobs are never kept"
    assert file.unread.line == (
        "1 of 3 entries could not be read: entry 3 has a request.url that is not an absolute URL"
    )
