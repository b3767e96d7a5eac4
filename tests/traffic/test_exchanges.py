"""What is recorded of each exchange, as the lines of a headless run show it."""

from __future__ import annotations

import random
import socket
import struct
from typing import Any

import httpx
import pytest

from tests.registry.pushing import (
    connect,
    digest_of,
    image,
    status,
    until_in_flight,
)
from tests.server import Brokenreg

CONTENT = random.Random("exchanges").randbytes(50_000)
DIGEST = digest_of(CONTENT)


def exchanges(running: Brokenreg) -> list[dict[str, Any]]:
    """Return all recorded exchanges, after stopping."""
    assert running.stop() == 0
    return [line for line in running.lines if line["event"] == "exchange"]


def test_a_push_and_a_pull(own_registry: Brokenreg) -> None:
    name, manifest = "broken/in/team/app", image(CONTENT)
    with httpx.Client(base_url=own_registry.url, headers={"user-agent": "test/1"}) as http:
        http.get("/v2/")
        session = http.post(f"/v2/{name}/blobs/uploads/").headers["location"]
        http.patch(session, content=CONTENT)
        http.put(session, params={"digest": DIGEST})
        http.put(f"/v2/{name}/manifests/v1", content=manifest)
        http.head(f"/v2/{name}/manifests/v1")
        http.get(f"/v2/{name}/manifests/v1")
        http.get(f"/v2/{name}/blobs/{DIGEST}", headers={"range": "bytes=0-99"})
        http.get(f"/v2/{name}/tags/list?n=1")
        http.get(f"/v2/{name}/referrers/{DIGEST}")
        http.get("/v2/_catalog")
        http.get("/v2/UPPER/manifests/v1")
    # An exchange can end after the client's next request: its line comes then.
    seen = sorted(exchanges(own_registry), key=lambda each: int(each["id"]))
    upload = session.rsplit("/", 1)[1]
    assert [
        (each["method"], each["endpoint"], each["reference"], each["status"], each["request_bytes"])
        for each in seen
    ] == [
        ("GET", "ping", "", 200, 0),
        ("POST", "upload", "", 202, 0),
        ("PATCH", "upload", upload, 202, len(CONTENT)),
        ("PUT", "upload", upload, 201, 0),
        ("PUT", "manifest", "v1", 201, len(manifest)),
        ("HEAD", "manifest", "v1", 200, 0),
        ("GET", "manifest", "v1", 200, 0),
        ("GET", "config", DIGEST, 206, 0),
        ("GET", "tags", "", 200, 0),
        ("GET", "referrers", DIGEST, 200, 0),
        ("GET", "catalog", "", 200, 0),
        ("GET", "manifest", "v1", 400, 0),
    ]
    assert [each["response_bytes"] for each in seen[:8]] == [2, 0, 0, 0, 0, 0, len(manifest), 100]
    assert [each["id"] for each in seen] == list(range(1, 13))
    for each in seen[1:10]:
        assert (each["namespace"], each["repository"]) == ("team", "app")
        assert each["path"].startswith(f"/v2/{name}/")
    for each in seen:
        assert (each["ended"], each["faults"], each["user_agent"]) == ("complete", [], "test/1")
        assert each["protocol"] == "HTTP/1.1"
        assert each["client"].startswith("127.0.0.1:")
        assert 0 <= each["duration"] < 10
    assert seen[8]["query"] == "n=1"


def test_a_fault_is_named(own_registry: Brokenreg) -> None:
    with httpx.Client(base_url=own_registry.url) as http:
        http.put("/v2/app/manifests/v1", content=b"{}")
        http.get("/v2/broken/error/manifests/404")
        http.get("/v2/broken/timeout/manifests/dur-50ms")
        http.get("/v2/broken/with/error_status-503/app/manifests/v1")
        http.get("/v2/broken/with/error_status-503/app/tags/list")
        http.get("/v2/broken/error/manifests/abc")
    seen = exchanges(own_registry)
    assert [(each["status"], each["faults"]) for each in seen] == [
        (201, []),
        (404, ["error"]),
        (408, ["timeout"]),
        (503, ["error"]),
        (200, []),
        (400, []),
    ]
    assert seen[2]["duration"] >= 0.05
    assert {each["repository"] for each in seen[3:5]} == {"app"}


@pytest.mark.parametrize("kind", ["pushed", "fabricated"])
def test_a_client_that_disconnects_during_a_download(own_registry: Brokenreg, kind: str) -> None:
    """Only sent bytes are counted."""
    size = 64 * 1024 * 1024
    with httpx.Client(base_url=own_registry.url, timeout=30) as http:
        if kind == "pushed":
            content = bytes(size)
            url = f"/v2/app/blobs/{digest_of(content)}"
            http.post(f"/v2/app/blobs/uploads/?digest={digest_of(content)}", content=content)
        else:
            manifest = http.get(f"/v2/broken/random/manifests/layers-1_size-{size}").json()
            url = f"/v2/broken/random/blobs/{manifest['layers'][0]['digest']}"
    with connect(own_registry) as connection:
        connection.sendall(f"GET {url} HTTP/1.1\r\nHost: {own_registry.host}\r\n\r\n".encode())
        received = len(connection.recv(65536, socket.MSG_WAITALL))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until_in_flight(own_registry, 0)
    last = exchanges(own_registry)[-1]
    assert (last["endpoint"], last["status"], last["ended"]) == ("layer", 200, "disconnected")
    assert received - 1000 <= last["response_bytes"] < size // 2


def test_a_client_that_disconnects_during_an_upload(own_registry: Brokenreg) -> None:
    head = f"POST /v2/app/blobs/uploads/?digest={DIGEST} HTTP/1.1\r\nHost: {own_registry.host}\r\n"
    with connect(own_registry) as connection:
        connection.sendall(head.encode() + b"Content-Length: 50000\r\n\r\n" + CONTENT[:20_000])
        until_in_flight(own_registry, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until_in_flight(own_registry, 0)
    (only,) = exchanges(own_registry)
    assert (only["endpoint"], only["ended"]) == ("upload", "disconnected")
    assert only["request_bytes"] <= 20_000


def test_the_status_counts(own_registry: Brokenreg) -> None:
    before = status(own_registry)
    assert (before["exchanges"], before["in_flight"], before["connections"]) == (0, 0, 0)
    with httpx.Client(base_url=own_registry.url) as http:
        http.post(f"/v2/app/blobs/uploads/?digest={DIGEST}", content=CONTENT)
        http.put("/v2/app/manifests/v1", content=image(CONTENT))
        now = status(own_registry)
        assert (now["exchanges"], now["in_flight"], now["connections"]) == (2, 0, 1)
        assert (now["repositories"], now["manifests"], now["blobs"]) == (1, 1, 1)


def test_a_line_for_each(own_registry: Brokenreg) -> None:
    """They are complete even if they are read later."""
    count = 300
    with httpx.Client(base_url=own_registry.url) as http:
        for number in range(count):
            http.get(f"/v2/app-{number}/tags/list")
    seen = exchanges(own_registry)
    assert [each["repository"] for each in seen] == [f"app-{number}" for number in range(count)]
