"""hold, before the headers and in the body: resumed, stepped, aborted, disconnected and at shutdown."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.raw_http import HTTP1, HTTP2
from tests.registry.pushing import digest_of
from tests.running_registry import Registry
from tests.server import Brokenreg, brokenreg

SIZE = 300_000


def held(registry: Registry, path: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the held exchanges of that path, once there are that many (within 5 s)."""
    deadline = time.monotonic() + 5
    with registry.control() as control:
        while True:
            found = control.get("/v1/exchanges", params={"filter": "held:true"}).json()
            found = [each for each in found if each["path"] == path]
            if len(found) == count:
                return list(found)
            assert time.monotonic() < deadline, found
            time.sleep(0.01)


def order(registry: Registry, exchange: int, what: str, **body: Any) -> None:
    with registry.control() as control:
        answer = control.post(f"/v1/exchanges/{exchange}/{what}", json=body)
        assert answer.status_code == 200, answer.text


def begin(connection: HTTP1 | HTTP2, path: str, method: str = "GET", content: bytes = b"") -> int:
    """Send a request, and return its stream (0 over HTTP/1.1)."""
    if isinstance(connection, HTTP2):
        return connection.begin(path, method, content=content)
    connection.send(connection.request(path, method, content=content))
    return 0


def read(connection: HTTP1 | HTTP2, stream: int, method: str = "GET", timeout: float = 5) -> Any:
    if isinstance(connection, HTTP2):
        return connection.read(stream, timeout=timeout)
    return connection.read(method, timeout=timeout)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_before_the_headers(each: Registry, method: str) -> None:
    image = each.push(SIZE)
    path = image.layer_path()
    with each.rule(fault="hold", match={"endpoint": "layer"}), each.connect() as connection:
        stream = begin(connection, path, method)
        (exchange,) = held(each, path)
        assert (exchange["status"], exchange["ended"]) == (None, None)
        silence = read(connection, stream, method, timeout=0.1)
        assert (silence.status, silence.ended) == (None, "timeout")
        order(each, exchange["id"], "resume")
        answer = read(connection, stream, method)
        assert answer.status == 200
        assert answer.body == (image.layers[0] if method == "GET" else b"")
        assert answer.is_whole
    timeline = each.timeline(path, method)
    assert [what for what in timeline if what in ("held at the headers", "resumed")] == [
        "held at the headers",
        "resumed",
    ]
    assert each.exchange(path, method)["ended"] == "complete"


@pytest.mark.parametrize("at", [0, 1, 65_536, SIZE - 1])
def test_in_the_body(each: Registry, at: int) -> None:
    """The client gets the headers and exactly `at` bytes, and later the rest."""
    image = each.push(SIZE)
    path = image.layer_path()
    with (
        each.rule(fault={"type": "hold", "at": at}, match={"endpoint": "layer"}),
        each.connect() as connection,
    ):
        stream = begin(connection, path)
        (exchange,) = held(each, path)
        first = read(connection, stream, timeout=0.2)
        assert (first.status, first.body, first.ended) == (200, image.layers[0][:at], "timeout")
        assert (exchange["status"], exchange["response_bytes"]) == (200, at)
        order(each, exchange["id"], "resume")
        answer = rest_of(connection, stream, first)
        assert answer.endswith(image.layers[0][at:])
        assert len(answer) == SIZE - at
    assert each.exchange(path)["response_bytes"] == SIZE


def rest_of(connection: HTTP1 | HTTP2, stream: int, first: Any) -> bytes:
    """Return the rest of the body after `first`, whose reading timed out."""
    if isinstance(connection, HTTP2):
        return connection.read(stream).body
    answer = connection.read(prefix=first.raw)
    assert answer.is_whole
    return answer.body[len(first.body) :]


def until(is_so: Callable[[], bool]) -> None:
    """Wait until the condition is true, for at most 10 s."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline


@pytest.mark.slow
def test_step_by_step(each: Registry) -> None:
    image = each.push(1000)
    path, body = image.layer_path(), image.layers[0]
    with each.rule(fault="hold", match={"endpoint": "layer"}), each.connect() as connection:
        stream = begin(connection, path)
        (exchange,) = held(each, path)
        received = b""

        def content() -> bytes:
            """Return the part of the body that has arrived so far."""
            nonlocal received
            answer = read(connection, stream, timeout=0.1)
            received += answer.body if isinstance(connection, HTTP2) else answer.raw
            return received if isinstance(connection, HTTP2) else received.partition(b"\r\n\r\n")[2]

        for size, total in ((1, 1), (7, 8), (500, 508), (491, 999)):
            order(each, exchange["id"], "step", bytes=size)
            until(lambda total=total: content() == body[:total])
            (now,) = held(each, path)
            assert now["response_bytes"] == total
            assert content() == body[:total]  # and nothing more
        order(each, exchange["id"], "step", bytes=100)
        until(lambda: content() == body)
        assert each.exchange(path)["ended"] == "complete"


@pytest.mark.parametrize("at", ["headers", 1000])
def test_abort(each: Registry, at: Any) -> None:
    """The client gets RST, or RST_STREAM over HTTP/2, where the connection stays open."""
    image = each.push(SIZE)
    path = image.layer_path()
    with (
        each.rule(fault={"type": "hold", "at": at}, match={"endpoint": "layer"}),
        each.connect() as connection,
    ):
        stream = begin(connection, path)
        (exchange,) = held(each, path)
        order(each, exchange["id"], "abort")
        answer = read(connection, stream)
        assert answer.body == (b"" if at == "headers" else image.layers[0][:at])
        assert answer.ended == ("rst-stream" if each.is_http2 else "rst")
        if isinstance(connection, HTTP2):
            assert answer.code == 2
            assert connection.is_alive()
    assert each.exchange(path)["ended"] == "aborted"
    assert "aborted" in each.timeline(path)


def test_abort_with_a_status(each: Registry) -> None:
    image = each.push(SIZE)
    path = image.layer_path()
    with each.rule(fault="hold", match={"endpoint": "layer"}), each.connect() as connection:
        stream = begin(connection, path)
        (exchange,) = held(each, path)
        order(each, exchange["id"], "abort", status=503)
        answer = read(connection, stream)
        assert (answer.status, answer.is_whole) == (503, True)
        assert connection.ended is None
    assert each.exchange(path)["status"] == 503


def test_no_status_once_the_headers_are_sent(each: Registry) -> None:
    path = each.push(SIZE).layer_path()
    with (
        each.rule(fault={"type": "hold", "at": 10}, match={"endpoint": "layer"}),
        each.connect() as connection,
        each.control() as control,
    ):
        begin(connection, path)
        (exchange,) = held(each, path)
        refused = control.post(f"/v1/exchanges/{exchange['id']}/abort", json={"status": 503})
        assert refused.status_code == 409
        order(each, exchange["id"], "resume")


@pytest.mark.parametrize("at", ["headers", 1000])
def test_a_client_that_leaves(each: Registry, at: Any) -> None:
    path = each.push(SIZE).layer_path()
    with each.rule(fault={"type": "hold", "at": at}, match={"endpoint": "layer"}):
        with each.connect() as connection:
            begin(connection, path)
            held(each, path)
        exchange = each.exchange(path)
    assert (exchange["ended"], exchange["held"]) == ("disconnected", False)
    assert exchange["response_bytes"] == (0 if at == "headers" else at)


def test_a_body_that_ends_before(each: Registry) -> None:
    image = each.push(1000)
    rule = {"type": "hold", "at": 1000}
    with each.rule(fault=rule, match={"endpoint": "layer"}) as number:
        assert each.ask(image.layer_path()).body == image.layers[0]
        assert each.ask(image.layer_path(), "HEAD").status == 200
        assert each.rule_state(number)["applied"] == 0
    assert each.exchange(image.layer_path())["faults"] == []


def test_a_held_manifest_push_is_stored(each: Registry) -> None:
    """The body is read and stored; only the response is held."""
    image = each.push(10)
    path = image.manifest_path(reference="held")
    with (
        each.rule(fault="hold", match={"endpoint": "manifest", "method": "PUT"}),
        each.connect() as connection,
    ):
        stream = begin(connection, path, "PUT", image.manifest)
        (exchange,) = held(each, path)
        assert exchange["request_bytes"] == len(image.manifest)
        assert each.ask(path).body == image.manifest
        order(each, exchange["id"], "resume")
        answer = read(connection, stream, "PUT")
        assert (answer.status, answer.header("docker-content-digest")) == (201, digest_of(image.manifest))


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_held_upload(each: Registry, method: str) -> None:
    repository, blob = each.push(10).repository, bytes(60_000)
    location = each.ask(f"/v2/{repository}/blobs/uploads/", "POST").header("location") or ""
    path = f"{location}?digest={digest_of(blob)}" if method == "PUT" else location
    with (
        each.rule(fault="hold", match={"endpoint": "upload", "method": method}),
        each.connect() as connection,
    ):
        stream = begin(connection, path, method, blob)
        (exchange,) = held(each, location)
        assert exchange["request_bytes"] == len(blob)
        order(each, exchange["id"], "resume")
        assert read(connection, stream, method).status == (201 if method == "PUT" else 202)


def test_all_of_a_filter(each: Registry) -> None:
    image = each.push(1000)
    path = image.layer_path()
    connections = [each.connect() for _ in range(5)]
    with each.rule(fault="hold", match={"endpoint": "layer"}), each.control() as control:
        streams = [begin(connection, path) for connection in connections]
        exchanges = held(each, path, 5)
        told = control.post("/v1/resume", params={"filter": f"repo:{image.repository}"}).json()
        assert sorted(told["exchanges"]) == sorted(exchange["id"] for exchange in exchanges)
        for connection, stream in zip(connections, streams, strict=True):
            assert read(connection, stream).body == image.layers[0]
    for connection in connections:
        connection.socket.close()


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_shutdown_releases(tmp_path: Path, protocol: str) -> None:
    """Held responses are completed, and nothing delays the shutdown."""
    with (
        brokenreg(tmp_path / "data", "--tls", "self-signed") as running,
        ThreadPoolExecutor(1) as thread,
    ):
        registry = Registry(running, protocol)
        image = registry.push(SIZE)
        with registry.control() as control:
            control.post("/v1/rules", json={"fault": "hold", "match": {"endpoint": "layer"}})
        with registry.connect() as connection:
            stream = begin(connection, image.layer_path())
            held(registry, image.layer_path())
            stopping = thread.submit(running.stop)
            assert read(connection, stream).body == image.layers[0]
        assert stopping.result() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "size", "at", "pace"),
    [
        ({"type": "throttle", "rate": 100_000}, 40_000, 10_000, 1e-5),
        ({"type": "drip", "every": "10ms"}, 40, 10, 0.01),
    ],
    ids=["throttle", "drip"],
)
def test_a_paced_body_does_not_catch_up_after_it_was_held(
    registry: Brokenreg, fault: dict[str, Any], size: int, at: int, pace: float
) -> None:
    """The time of a hold does not count, whether it ends with a step or with resume."""
    plain = Registry(registry, "http/1.1")
    path = plain.push(size).layer_path()
    with (
        plain.rule(fault=[{"type": "hold", "at": at}, fault], match={"endpoint": "layer"}),
        plain.connect() as connection,
    ):
        begin(connection, path)
        (exchange,) = held(plain, path)
        time.sleep(0.25)
        stepped = time.monotonic()
        order(plain, exchange["id"], "step", bytes=at)
        while held(plain, path)[0]["response_bytes"] < 2 * at:
            assert time.monotonic() < stepped + 5
        held_again = time.monotonic()
        assert held_again - stepped > 0.7 * at * pace
        time.sleep(0.25)
        resumed = time.monotonic()
        order(plain, exchange["id"], "resume")
        assert len(read(connection, 0).body) == size
        ended = time.monotonic()
        # What a busy machine sent late may be caught up with, so the second part may be a little shorter.
        assert ended - resumed > 0.7 * (size - 2 * at) * pace
        assert ended - stepped - (resumed - held_again) > 0.9 * (size - at) * pace
