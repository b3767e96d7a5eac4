"""Failures of upstreams: one brokenreg causes each of them, and another one reports it correctly.

The names contain their upstream. For names without a host, see `test_default_upstream`.
"""

from __future__ import annotations

import itertools
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.chain import Chain, chain, last
from tests.proxy.scripted import Answer, scripted
from tests.registry.pushing import digest_of, error_of
from tests.server import brokenreg

_names = itertools.count(1)
MANIFEST, BLOB = "manifest", "layer"

TABLE: list[tuple[str, dict[str, Any], int, str]] = [
    (MANIFEST, {"type": "not-found"}, 404, "MANIFEST_UNKNOWN"),
    (BLOB, {"type": "not-found"}, 404, "BLOB_UNKNOWN"),
    (MANIFEST, {"type": "error", "status": 410}, 404, "MANIFEST_UNKNOWN"),
    (MANIFEST, {"type": "error", "status": 401}, 401, "UNAUTHORIZED"),
    (BLOB, {"type": "error", "status": 401}, 401, "UNAUTHORIZED"),
    (MANIFEST, {"type": "error", "status": 403}, 403, "DENIED"),
    (BLOB, {"type": "error", "status": 403}, 403, "DENIED"),
    (MANIFEST, {"type": "rate-limit"}, 429, "TOOMANYREQUESTS"),
    (BLOB, {"type": "rate-limit"}, 429, "TOOMANYREQUESTS"),
    *((MANIFEST, {"type": "error", "status": status}, 502, "UNAVAILABLE") for status in (400, 500, 503, 504)),
    (BLOB, {"type": "error", "status": 503}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "reset"}, 502, "UNAVAILABLE"),
    (BLOB, {"type": "reset"}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "empty-reply"}, 502, "UNAVAILABLE"),
    *(
        (MANIFEST, {"type": "malformed", "form": form}, 502, "UNAVAILABLE")
        for form in ("status-line", "header", "chunk", "garbage")
    ),
    (MANIFEST, {"type": "truncate", "after": 5}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "corrupt", "offset": 30}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "no-digest", "form": "wrong"}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "no-digest", "form": "malformed"}, 502, "UNAVAILABLE"),
    (BLOB, {"type": "corrupt", "offset": 2}, 502, "UNAVAILABLE"),
    (BLOB, {"type": "truncate", "after": 0}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "stall", "at": 0}, 504, "TIMEOUT"),
    (MANIFEST, {"type": "stall", "at": 10}, 504, "TIMEOUT"),
    (BLOB, {"type": "latency", "dur": "10s"}, 504, "TIMEOUT"),
    (BLOB, {"type": "redirect", "form": "expired"}, 403, "DENIED"),
    (BLOB, {"type": "redirect", "form": "loop"}, 502, "UNAVAILABLE"),
    (BLOB, {"type": "redirect", "form": "dead"}, 502, "UNAVAILABLE"),
    (MANIFEST, {"type": "redirect", "form": "html"}, 502, "UNAVAILABLE"),
]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain(tmp_path_factory.mktemp("chain")) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy with a short timeout, for upstreams that do not respond."""
    with chain(tmp_path_factory.mktemp("chain"), "--upstream-timeout", "2s") as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(
    ("endpoint", "fault", "status", "code"), TABLE, ids=lambda value: str(value).replace("'", "")
)
def test_failures(
    request: pytest.FixtureRequest, endpoint: str, fault: dict[str, Any], status: int, code: str
) -> None:
    running: Chain = request.getfixturevalue("impatient" if code == "TIMEOUT" else "patient")
    name = f"failures/{next(_names)}"
    running.mend()
    layer = name.encode() * 100  # of its own: one that another repository has is only asked for
    running.push_image(name, layer)
    running.rule(fault, endpoint)
    path = "manifests/v1" if endpoint == MANIFEST else f"blobs/{digest_of(layer)}"
    response = running.get(f"/quay.io/v2/{name}/{path}")
    error = error_of(response, status)
    assert error["code"] == code
    assert "quay.io" in error["message"]
    if fault["type"] == "redirect" and fault["form"] != "loop":
        assert "(to which quay.io redirects)" in error["message"]
    assert response.content
    assert "www-authenticate" not in response.headers
    if status == 429:
        assert int(response.headers["retry-after"]) > 20
    assert "Traceback" not in json.dumps(last(running.proxy))
    running.mend()
    if status != 404:  # which is remembered for a while
        assert running.get(f"/quay.io/v2/{name}/{path}").status_code == 200


def test_errors_for_invalid_http_and_lists_are_plain(patient: Chain) -> None:
    patient.mend()
    patient.rule({"type": "malformed", "form": "status-line"}, "manifest")
    message = error_of(patient.get("/v2/plain/words/manifests/v1"), 502)["message"]
    assert "bytearray" not in message
    assert " line: '" in message
    missing = error_of(patient.get("/quay.io/v2/plain/words/tags/list"), 404)["message"]
    assert missing.startswith("quay.io has no list of tags of plain/words: ")


def test_messages_of_upstreams_are_passed_on_without_secrets(tmp_path: Path) -> None:
    secret = "hunter2" * 6
    message = f"{'x' * 140} https://casey:{secret}@h/"
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
    header = f"HTTP/1.1 200 OK\r\nSet-Cookie {secret}\r\n\r\n".encode()
    with scripted() as odd, _odd_server(header) as malformed:
        odd.answers["/v2/a/b/manifests/v1"] = Answer(403, {"content-type": "application/json"}, body)
        options = ("--upstream", f"quay.io={odd.url}", "--upstream", f"odd.test={malformed}")
        with brokenreg(tmp_path, *options) as proxy:
            words = error_of(httpx.get(f"{proxy.url}/v2/quay.io/a/b/manifests/v1"), 403)["message"]
            error = error_of(httpx.get(f"{proxy.url}/v2/odd.test/a/b/manifests/v1"), 502)["message"]
    assert "x https://***" in words
    assert "header line: 'Set-Cookie ***'" in error
    for told in (words, error):
        assert "hunter" not in told


def test_an_unreachable_upstream(tmp_path: Path) -> None:
    with chain(tmp_path) as both:
        both.upstream.stop()
        error = error_of(both.get("/v2/a/b/manifests/v1"), 502)
        assert error["code"] == "UNAVAILABLE"
        assert "Connect" in error["message"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("--tls", "self-signed"), 502), ((), 502)],
    ids=["a certificate of nobody", "no TLS"],
)
def test_tls(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    with brokenreg(tmp_path / "upstream", "--offline", *arguments) as upstream:
        url = f"https://{upstream.host}"
        with brokenreg(tmp_path / "proxy", "--upstream", f"quay.io={url}") as proxy:
            error = error_of(httpx.get(f"{proxy.url}/v2/a/b/manifests/v1"), status)
            assert error["message"].startswith(f"cannot reach quay.io (at {upstream.host}): ")


@contextmanager
def _odd_server(answer: bytes) -> Iterator[str]:
    """A server with one response for all requests."""

    class Odd(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Odd) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


def test_never_200_without_a_body(tmp_path: Path) -> None:
    """containerd would repeat the request forever (containerd#9552)."""
    nothing = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with _odd_server(nothing) as url, brokenreg(tmp_path / "proxy", "--upstream", f"quay.io={url}") as proxy:
        digest = digest_of(b"a layer")
        for path in ("manifests/v1", f"manifests/{digest}", "tags/list", f"blobs/{digest}"):
            assert error_of(httpx.get(f"{proxy.url}/v2/a/b/{path}"), 502)["code"] == "UNAVAILABLE"
