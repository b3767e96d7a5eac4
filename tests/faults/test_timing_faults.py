"""timeout, latency, stall, throttle and drip, with exact lower bounds and generous upper bounds."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hyperframe.frame import RstStreamFrame

from tests.raw_http import HTTP1, HTTP2
from tests.running_registry import Registry
from tests.server import Brokenreg


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_timeout(each: Registry, method: str) -> None:
    image = each.push(10)
    path = image.manifest_path(reference="late")
    with each.rule(fault={"type": "timeout", "dur": "200ms"}), each.connect() as connection:
        answer = connection.ask(path, method, content=b"{}" if method == "PUT" else b"")
        assert (answer.status, answer.is_whole) == (408, True)
        assert answer.first_byte is not None
        assert answer.first_byte >= 0.2
        if method != "HEAD":
            assert json.loads(answer.body)["errors"][0]["code"] == "TIMEOUT"
        assert connection.ask(image.layer_path()).body == image.layers[0]
    assert each.ask(path).status == 404


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "least", "most"),
    [
        ({"dur": "150ms"}, 0.15, 0.15),
        ({"dur": "0s"}, 0.0, 0.0),
        ({"dur": "200ms", "form": "uniform", "min": "100ms"}, 0.1, 0.2),
        ({"dur": "100ms", "form": "log-normal", "sigma": 0}, 0.1, 0.1),
        ({"dur": "20ms", "form": "log-normal"}, 0.001, 0.5),
    ],
)
def test_latency(each: Registry, parameters: dict[str, Any], least: float, most: float) -> None:
    image = each.push(1000)
    fault = {"type": "latency", **parameters}
    with each.rule(fault=fault, match={"repository": image.repository}), each.connect() as connection:
        for path, method, body in (
            (image.layer_path(), "GET", image.layers[0]),
            (image.manifest_path(), "GET", image.manifest),
            (image.manifest_path(), "HEAD", b""),
        ):
            answer = connection.ask(path, method)
            assert (answer.status, answer.body, answer.is_whole) == (200, body, True)
            assert answer.first_byte is not None
            assert least <= answer.first_byte
    assert each.exchange(image.layer_path())["faults"] == ["latency"]


def test_latency_takes_a_push_in_first(each: Registry) -> None:
    image = each.push(10)
    path = image.manifest_path(reference="slow")
    with (
        each.rule(fault={"type": "latency", "dur": "30s"}, match={"endpoint": "manifest", "method": "PUT"}),
        each.connect() as connection,
    ):
        connection.ask(path, "PUT", content=image.manifest, timeout=0.3)
        assert each.ask(path).body == image.manifest
    assert each.exchange(path, "PUT")["ended"] == "disconnected"


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 100_000, "50%"])
def test_stall_in_the_body(each: Registry, at: Any) -> None:
    """The client gets the headers and some bytes, then nothing for a while, then the rest."""
    image = each.push(200_000)
    place = 100_000 if at == "50%" else at
    with each.rule(fault={"type": "stall", "at": at, "dur": "300ms"}):
        answer = each.ask(image.layer_path())
    assert (answer.status, answer.body, answer.is_whole) == (200, image.layers[0], True)
    arrived = list(itertools.accumulate(size for _, size in answer.pieces))
    head = 0 if each.is_http2 else len(answer.raw) - len(answer.body)
    after = min(when for (when, _), total in zip(answer.pieces, arrived, strict=True) if total - head > place)
    assert after >= 0.3  # since it was asked: a busy client reads what came before late
    if not each.is_http2:
        assert head + place in arrived
    points = each.exchange(image.layer_path())["timeline"]
    stalled = next(point["at"] for point in points if point["text"] == "stall: waits 0.3 s")
    assert points[-1]["at"] - stalled >= 0.29


@pytest.mark.parametrize("at", ["headers", 0, 1000])
def test_stall_until_the_client_disconnects(each: Registry, at: Any) -> None:
    image = each.push(200_000)
    with each.rule(fault={"type": "stall", "at": at}):
        with each.connect() as connection:
            answer = connection.ask(image.layer_path(), timeout=0.3)
            assert answer.ended == "timeout"
            assert answer.status == (None if at == "headers" else 200)
            assert answer.body == (b"" if at == "headers" else image.layers[0][:at])
        exchange = each.exchange(image.layer_path())
    assert (exchange["faults"], exchange["ended"]) == (["stall"], "disconnected")
    assert exchange["response_bytes"] == (0 if at == "headers" else at)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_stall_before_the_headers(each: Registry, method: str) -> None:
    image = each.push(1000)
    with each.rule(fault={"type": "stall", "dur": "200ms"}):
        answer = each.ask(image.layer_path(), method)
    assert answer.first_byte is not None
    assert answer.first_byte >= 0.2
    assert (answer.status, answer.is_whole) == (200, True)
    assert answer.body == (image.layers[0] if method == "GET" else b"")


def test_stall_beyond_the_body(each: Registry) -> None:
    image = each.push(1000)
    with each.rule(fault={"type": "stall", "at": 1000}) as rule:
        assert each.ask(image.layer_path()).body == image.layers[0]
        assert each.ask(image.layer_path(), "HEAD").is_whole
        assert each.rule_state(rule)["applied"] == 0
    assert each.exchange(image.layer_path())["faults"] == []


def test_throttle(each: Registry) -> None:
    """Apart from the first slice, the client never gets more than the rate allows, and all of it in time."""
    rate = 200_000
    image = each.push(100_000)
    with each.rule(fault={"type": "throttle", "rate": rate}):
        answer = each.ask(image.layer_path())
    assert (answer.body, answer.is_whole) == (image.layers[0], True)
    assert answer.first_byte is not None
    assert answer.duration >= 0.45
    assert len(answer.pieces) >= 10
    exchange = each.exchange(image.layer_path())
    assert (exchange["faults"], exchange["ended"]) == (["throttle"], "complete")


def test_throttle_a_fabricated_layer(each: Registry) -> None:
    tag = "rate-1mib_size-300kib_layers-1"
    manifest = json.loads(each.ask(f"/v2/broken/throttle/manifests/{tag}").body)
    layer = manifest["layers"][0]
    answer = each.ask(f"/v2/broken/throttle/blobs/{layer['digest']}")
    assert len(answer.body) == layer["size"]
    assert answer.duration >= 0.27


def test_drip_the_body(each: Registry) -> None:
    """Each byte has a TLS record or a DATA frame of its own."""
    image = each.push(30)
    with each.rule(fault={"type": "drip", "every": "10ms"}):
        answer = each.ask(image.layer_path())
    assert (answer.body, answer.is_whole) == (image.layers[0], True)
    assert answer.duration >= 0.28
    sizes = [size for _, size in answer.pieces if size]
    if each.is_http2:
        assert sizes == [1] * 30
    elif each.is_tls:
        assert sizes[-29:] == [1] * 29
    else:
        assert len(sizes) > 15


def test_drip_sends_a_frame_for_each_byte_that_is_late(http2: Registry) -> None:
    image = http2.push(300)
    with http2.rule(fault={"type": "drip", "every": "10us"}):
        answer = http2.ask(image.layer_path())
    assert (answer.body, answer.is_whole) == (image.layers[0], True)
    assert [size for _, size in answer.pieces if size] == [1] * 300


def test_drip_the_headers(http1: Registry) -> None:
    """The status line and headers come byte by byte, and the body in one piece."""
    image = http1.push(100_000)
    with (
        http1.rule(fault={"type": "drip", "what": "headers", "every": "2ms"}),
        HTTP1(http1.running) as connection,
    ):
        answer = connection.ask(image.layer_path())
        assert connection.ask(image.manifest_path()).is_whole  # which the rule is not for
    head = len(answer.raw) - 100_000
    assert (answer.status, answer.body) == (200, image.layers[0])
    assert 0.002 * (head - 2) <= answer.duration
    if http1.is_tls:
        assert [size for _, size in answer.pieces[:head]] == [1] * head
    else:
        assert len(answer.pieces) > head / 3
    assert http1.exchange(image.layer_path())["response_bytes"] == 100_000


def test_headers_drip_though_another_fault_changes_them(http1: Registry) -> None:
    image = http1.push(10)
    faults = [{"type": "content-type", "value": "x/y"}, {"type": "drip", "what": "headers", "every": "1ms"}]
    with http1.rule(fault=faults, match={"endpoint": "layer"}):
        answer = http1.ask(image.layer_path())
    assert answer.header("content-type") == "x/y"
    assert answer.duration >= 0.001 * (len(answer.raw) - 12)


def test_headers_do_not_drip_over_http2(http2: Registry) -> None:
    image = http2.push(100)
    with http2.rule(fault={"type": "drip", "what": "headers", "every": "1h"}) as rule:
        assert http2.ask(image.layer_path()).is_whole
        assert http2.rule_state(rule)["applied"] == 0
    assert "drip: not applicable: h2 sends headers in one frame" in http2.timeline(image.layer_path())


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "drip", "every": "1h"},
        {"type": "throttle", "rate": 1},
        {"type": "latency", "dur": "1h"},
        {"type": "timeout", "dur": "1h"},
    ],
)
def test_a_client_that_disconnects_is_noticed(each: Registry, fault: dict[str, Any]) -> None:
    check_leaving(each, fault)


def test_a_client_that_disconnects_during_dripping_headers_is_noticed(http1: Registry) -> None:
    check_leaving(http1, {"type": "drip", "every": "1h", "what": "headers"})


def check_leaving(registry: Registry, fault: dict[str, Any]) -> None:
    path = registry.push(1000).layer_path()
    with registry.rule(fault=fault, match={"endpoint": "layer"}):
        with registry.connect() as connection:
            assert connection.ask(path, timeout=0.2).ended == "timeout"
        exchange = registry.exchange(path)
    assert exchange["ended"] == "disconnected"


def test_an_http2_stream_that_is_reset_is_noticed(http2: Registry) -> None:
    """The connection stays open, and the response is no longer produced."""
    path = http2.push(1000).layer_path()
    with http2.rule(fault={"type": "drip", "every": "1h"}), HTTP2(http2.running) as connection:
        stream = connection.begin(path)
        assert connection.read(stream, timeout=0.2).ended == "timeout"
        connection.send(RstStreamFrame(stream, error_code=8).serialize())
        assert http2.exchange(path)["ended"] == "disconnected"
        assert connection.is_alive()


def test_latency_and_truncate(each: Registry) -> None:
    image = each.push(1000)
    faults = [{"type": "latency", "dur": "150ms"}, {"type": "truncate", "after": 10}]
    for both in (faults, faults[::-1]):
        with each.rule(fault=both, match={"endpoint": "layer"}):
            answer = each.ask(image.layer_path())
        assert answer.first_byte is not None
        assert answer.first_byte >= 0.15
        assert (answer.body, answer.ended) == (image.layers[0][:10], "rst-stream" if each.is_http2 else "fin")
    assert each.exchange(image.layer_path())["faults"] == ["truncate", "latency"]


def test_throttle_and_corrupt(each: Registry) -> None:
    image = each.push(50_000)
    faults = [{"type": "throttle", "rate": 200_000}, {"type": "corrupt", "offset": 30_000}]
    for both in (faults, faults[::-1]):
        with each.rule(fault=both, match={"endpoint": "layer"}):
            answer = each.ask(image.layer_path())
        spoiled = bytearray(image.layers[0])
        spoiled[30_000] ^= 0xFF
        assert answer.body == spoiled
        assert answer.duration >= 0.22


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "size"),
    [({"type": "throttle", "rate": 100_000}, 20_000), ({"type": "drip", "every": "100us"}, 2000)],
    ids=["throttle", "drip"],
)
def test_a_paced_body_does_not_catch_up_after_a_stall(
    registry: Brokenreg, fault: dict[str, Any], size: int
) -> None:
    plain = Registry(registry, "http/1.1")
    image = plain.push(size)
    stall = {"type": "stall", "at": size // 4, "dur": "250ms"}
    for both in ([stall, fault], [fault, stall]):
        with plain.rule(fault=both, match={"endpoint": "layer"}):
            answer = plain.ask(image.layer_path())
        assert answer.body == image.layers[0]
        assert answer.duration > 0.25 + 0.17
