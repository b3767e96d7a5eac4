"""The raw HTTP client of the tests, with responses of a correct registry."""

from __future__ import annotations

import pytest

from tests.raw_http import HTTP1, HTTP2, TIMEOUT
from tests.registry.pushing import digest_of
from tests.running_registry import Registry
from tests.server import Brokenreg


def test_an_honest_answer(each: Registry) -> None:
    """Pushed and fabricated content is complete, with length and digest, and the connection stays open."""
    pushed = each.push(100_000, 0)
    answer = each.ask(pushed.layer_path())
    assert (answer.status, answer.is_whole, answer.body, answer.rest) == (200, True, pushed.layers[0], b"")
    assert answer.ended == ("end-stream" if each.is_http2 else "keep-alive")
    assert answer.header("content-length") == "100000"
    assert answer.header("docker-content-digest") == digest_of(pushed.layers[0])
    assert answer.first_byte is not None
    assert 0 < answer.first_byte <= answer.duration < TIMEOUT
    exchange = each.exchange(pushed.layer_path())
    assert (exchange["response_bytes"], exchange["faults"], exchange["ended"]) == (100_000, [], "complete")
    assert each.ask(pushed.layer_path(number=2)).body == b""
    head = each.ask(pushed.layer_path(), "HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "100000")
    missing = each.ask(pushed.manifest_path(reference="v2"))
    assert (missing.status, missing.is_whole) == (404, True)
    with each.connect() as connection:
        assert [connection.ask(pushed.manifest_path()).body for _ in range(3)] == [pushed.manifest] * 3
        assert connection.ended is None


def test_http2_with_prior_knowledge(registry: Brokenreg) -> None:
    with HTTP2(registry) as connection:
        assert connection.ask("/v2/").status == 200
        assert connection.is_alive()


def test_pipelined_requests(http1: Registry) -> None:
    pushed = http1.push(70_000)
    with HTTP1(http1.running) as connection:
        connection.send(connection.request(pushed.layer_path()) + connection.request(pushed.manifest_path()))
        assert connection.read().body == pushed.layers[0]
        assert connection.read().body == pushed.manifest
        assert connection.ended is None


@pytest.mark.parametrize("sent", [b"NONSENSE\r\n\r\n", b"GET /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n"])
def test_how_a_connection_ends(registry: Brokenreg, sent: bytes) -> None:
    with HTTP1(registry) as connection:
        connection.send(sent.replace(b"HOST", registry.host.encode()))
        answer = connection.read(linger=0.2)
        assert answer.status == (400 if b"NONSENSE" in sent else 200)
        assert answer.ended == ("fin" if b"NONSENSE" in sent else "keep-alive")
