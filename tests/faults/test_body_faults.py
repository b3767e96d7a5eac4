"""truncate, corrupt, swap and wrong-length, exact to the byte, over every protocol."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.raw_http import HTTP1, HTTP2, Answer
from tests.registry.pushing import MIB, digest_of
from tests.running_registry import Pushed, Registry
from tests.server import Brokenreg

SIZE = 300_000


@pytest.fixture(scope="module")
def image(each: Registry) -> Pushed:
    return each.push(SIZE, 1000)


def content(image: Pushed, endpoint: str) -> tuple[str, bytes]:
    """Return the path and the content of an endpoint."""
    if endpoint == "manifest":
        return image.manifest_path(), image.manifest
    body = image.config if endpoint == "config" else image.layers[0]
    return image.blob_path(body), body


def fabricated(registry: Registry, tag: str, kind: str) -> tuple[str, int]:
    """Return the path and size of the first layer of a fabricated image with a fault."""
    manifest = registry.ask(f"/v2/broken/{kind}/manifests/{tag}")
    assert manifest.status == 200, manifest.body
    layer = json.loads(manifest.body)["layers"][0]
    return f"/v2/broken/{kind}/blobs/{layer['digest']}", layer["size"]


def ended_as(registry: Registry, end: str) -> str:
    """Return how a truncated response ends; over HTTP/2 only the stream ends."""
    return "rst-stream" if registry.is_http2 else end


# truncate


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("after", [0, 1, 65536, SIZE - 1])
def test_truncate(each: Registry, image: Pushed, after: int, end: str) -> None:
    """The client gets all headers, exactly `after` bytes, and the specified end."""
    path, body = content(image, "layer")
    with each.rule(fault={"type": "truncate", "after": after, "end": end}) as rule:
        answer = each.ask(path)
        assert each.rule_state(rule)["applied"] == 1
    assert (answer.status, answer.body, answer.is_whole) == (200, body[:after], False)
    assert answer.header("content-length") == str(SIZE)
    assert answer.header("docker-content-digest") == digest_of(body)
    assert answer.ended == ended_as(each, end)
    assert answer.code == (2 if each.is_http2 else None)
    exchange = each.exchange(path)
    assert (exchange["faults"], exchange["status"]) == (["truncate"], 200)
    assert (exchange["response_bytes"], exchange["ended"]) == (after, "aborted")


@pytest.mark.parametrize("endpoint", ["manifest", "config", "layer"])
def test_truncate_by_a_part(each: Registry, image: Pushed, endpoint: str) -> None:
    path, body = content(image, endpoint)
    with each.rule(fault={"type": "truncate", "after": "50%"}, match={"endpoint": endpoint}):
        assert each.ask(path).body == body[: len(body) // 2]
        head = each.ask(path, "HEAD")
        assert (head.status, head.header("content-length")) == (200, str(len(body)))
        assert head.is_whole
        assert each.exchange(path, "HEAD")["faults"] == []


@pytest.mark.parametrize("after", [SIZE, SIZE + 1, "100%"])
def test_a_body_no_longer_than_that_is_left_as_it_is(each: Registry, image: Pushed, after: Any) -> None:
    path, body = content(image, "layer")
    with each.rule(fault={"type": "truncate", "after": after}, times=1) as rule:
        with each.connect() as connection:
            assert [connection.ask(path).body for _ in range(2)] == [body, body]
        assert each.rule_state(rule)["applied"] == 0
    exchange = each.exchange(path)
    assert (exchange["faults"], exchange["response_bytes"], exchange["ended"]) == ([], SIZE, "complete")
    assert f"truncate: no effect: the body has {SIZE} bytes" in each.timeline(path)


def test_truncate_what_is_resumed(each: Registry, image: Pushed) -> None:
    """`after` counts bytes of the response, so that a client that resumes makes progress."""
    path, body = content(image, "layer")
    got = b""
    with each.rule(fault={"type": "truncate", "after": 100_000}):
        for _ in range(3):
            answer = each.ask(path, headers=[("Range", f"bytes={len(got)}-")])
            assert answer.status == 206
            assert answer.header("content-range") == f"bytes {len(got)}-{SIZE - 1}/{SIZE}"
            assert answer.header("content-length") == str(SIZE - len(got))
            got += answer.body
    assert got == body
    assert answer.is_whole


def test_truncate_of_what_is_missing(each: Registry, image: Pushed) -> None:
    path = image.manifest_path(reference="missing")
    with each.rule(
        fault={"type": "truncate", "after": 1, "end": "rst"}, match={"endpoint": "manifest"}
    ) as rule:
        answer = each.ask(path)
        assert each.rule_state(rule)["applied"] == 0
    assert (answer.status, answer.is_whole) == (404, True)


def test_truncate_with_close_notify(secure: Brokenreg, registry: Brokenreg) -> None:
    """TLS regards close_notify as a regular end. Plain HTTP reports that it has none."""
    for running in (secure, registry):
        over = Registry(running, "http/1.1")
        path, body = content(image := over.push(SIZE), "layer")
        rule = {"type": "truncate", "after": 1000, "end": "close-notify"}
        with over.rule(fault=rule, match={"repository": image.repository}):
            answer = over.ask(path)
        if over.is_tls:
            assert (answer.body, answer.ended) == (body[:1000], "close-notify")
        else:
            assert (answer.body, answer.ended) == (body, "keep-alive")
            assert any(each.startswith("truncate: not applicable") for each in over.timeline(path))


@pytest.mark.parametrize("end", ["fin", "rst", "close-notify"])
def test_truncate_takes_an_http2_connection_along(http2: Registry, end: str) -> None:
    path, body = content(http2.push(SIZE), "layer")
    with http2.rule(fault={"type": "truncate", "after": 70_000, "end": end, "scope": "connection"}):
        answer = http2.ask(path)
    assert (answer.status, answer.body, answer.ended) == (200, body[:70_000], end)
    assert http2.exchange(path)["response_bytes"] == 70_000


def test_an_http2_connection_outlives_its_stream(http2: Registry) -> None:
    image = http2.push(SIZE)
    with http2.rule(fault={"type": "truncate"}), HTTP2(http2.running) as connection:
        assert connection.ask(image.layer_path()).ended == "rst-stream"
        assert connection.is_alive()
        assert connection.ask(image.manifest_path()).body == image.manifest


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_truncate_for_a_slow_reader(http1: Registry, end: str) -> None:
    """A reset does not overtake what was sent before it."""
    after = 3 * MIB
    image = http1.push(after + 1000)
    with (
        http1.rule(fault={"type": "truncate", "after": after, "end": end}),
        HTTP1(http1.running, receive_buffer=16_384) as connection,
    ):
        connection.send(connection.request(image.layer_path()))
        first = connection.receive(5)
        until_sent(http1, image.layer_path())
        answer = connection.read(prefix=first)
    assert (len(answer.body), answer.ended) == (after, end)
    assert answer.body == image.layers[0][:after]
    assert http1.exchange(image.layer_path())["response_bytes"] == after


def until_sent(registry: Registry, path: str) -> None:
    """Wait until the registry has sent the headers of a response."""
    deadline = time.monotonic() + 10
    with registry.control() as control:
        while not any(
            each["path"] == path and each["status"] for each in control.get("/v1/exchanges").json()
        ):
            assert time.monotonic() < deadline, "no headers were sent"
            time.sleep(0.01)


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_truncate_a_fabricated_layer(each: Registry, end: str) -> None:
    path, size = fabricated(each, f"after-100kib_end-{end}_layers-1", "truncate")
    answer = each.ask(path)
    assert (answer.status, len(answer.body), answer.header("content-length")) == (200, 102_400, str(size))
    assert answer.ended == ended_as(each, end)
    again = each.ask(path)
    assert again.body == answer.body
    rest = each.ask(path, headers=[("Range", "bytes=1000000-")])
    assert (rest.status, rest.is_whole, len(rest.body)) == (206, True, size - 1_000_000)


@pytest.mark.slow
def test_nothing_follows_a_truncated_response(http1: Registry) -> None:
    """A request that was sent after the truncated one gets no response."""
    image = http1.push(SIZE)
    with http1.rule(fault={"type": "truncate", "after": 10}), HTTP1(http1.running) as connection:
        connection.send(connection.request(image.layer_path()) + connection.request(image.manifest_path()))
        answer = connection.read()
    assert (answer.body, answer.ended) == (image.layers[0][:10], "fin")


# corrupt


def flipped(body: bytes, *places: int) -> bytes:
    spoiled = bytearray(body)
    for place in places:
        spoiled[place] ^= 0xFF
    return bytes(spoiled)


@pytest.mark.parametrize(
    ("parameters", "places"),
    [
        ({}, [0]),
        ({"offset": 1000}, [1000]),
        ({"offset": SIZE - 1}, [SIZE - 1]),
        ({"every": 1}, range(SIZE)),
        ({"every": 65_536}, range(0, SIZE, 65_536)),
        ({"offset": 5, "every": 1000}, range(5, SIZE, 1000)),
        ({"offset": 100_001, "every": 7}, range(100_001, SIZE, 7)),
    ],
)
def test_corrupt(each: Registry, image: Pushed, parameters: dict[str, int], places: Any) -> None:
    path, body = content(image, "layer")
    with each.rule(fault={"type": "corrupt", **parameters}):
        answer = each.ask(path)
    assert answer.body == flipped(body, *places)
    assert answer.is_whole
    assert answer.header("content-length") == str(SIZE)
    assert answer.header("docker-content-digest") == digest_of(body)
    exchange = each.exchange(path)
    assert exchange["faults"] == ["corrupt"]
    assert (exchange["response_bytes"], exchange["ended"]) == (SIZE, "complete")


@pytest.mark.parametrize("endpoint", ["manifest", "config"])
def test_corrupt_elsewhere(each: Registry, image: Pushed, endpoint: str) -> None:
    path, body = content(image, endpoint)
    with each.rule(fault={"type": "corrupt", "offset": 7}, match={"endpoint": endpoint}):
        assert each.ask(path).body == flipped(body, 7)
        assert each.ask(path, "HEAD").header("docker-content-digest") == digest_of(body)


@pytest.mark.parametrize(
    ("asked", "first", "end"), [("100-199", 100, 200), ("150-", 150, SIZE), ("-200000", 100_000, SIZE)]
)
def test_corrupt_counts_within_the_whole(
    each: Registry, image: Pushed, asked: str, first: int, end: int
) -> None:
    path, body = content(image, "layer")
    with each.rule(fault={"type": "corrupt", "offset": 50, "every": 110}):
        answer = each.ask(path, headers=[("Range", f"bytes={asked}")])
    assert answer.status == 206
    assert answer.body == flipped(body, *range(50, SIZE, 110))[first:end]


@pytest.mark.parametrize(("offset", "asked"), [(SIZE, None), (100, "bytes=101-200"), (100, "bytes=0-99")])
def test_corrupt_outside_of_the_requested_range(
    each: Registry, image: Pushed, offset: int, asked: str | None
) -> None:
    path, _ = content(image, "layer")
    headers = [] if asked is None else [("Range", asked)]
    honest = each.ask(path, headers=headers).body
    with each.rule(fault={"type": "corrupt", "offset": offset}) as rule:
        assert each.ask(path, headers=headers).body == honest
        assert each.rule_state(rule)["applied"] == 0
    assert each.exchange(path)["faults"] == []


def test_corrupt_a_fabricated_layer(each: Registry) -> None:
    path, size = fabricated(each, "offset-600000_layers-1", "corrupt")
    answer = each.ask(path)
    honest = flipped(answer.body, 600_000)
    assert len(answer.body) == size
    assert f"sha256:{path.rpartition(':')[2]}" == digest_of(honest)


def test_corrupt_keeps_the_connection_open(each: Registry, image: Pushed) -> None:
    path, body = content(image, "layer")
    with each.rule(fault={"type": "corrupt"}, times=1), each.connect() as connection:
        assert connection.ask(path).body == flipped(body, 0)
        assert connection.ask(path).body == body


# swap


def test_swap(each: Registry) -> None:
    """The client gets another blob of the repository with the digest of the requested one."""
    image = each.push(SIZE, 2000)
    others = {image.config, *image.layers}
    with each.rule(fault={"type": "swap"}):
        for layer in image.layers:
            path = image.blob_path(layer)
            answer = each.ask(path)
            assert answer.body in others - {layer}
            assert answer.is_whole
            assert answer.header("content-length") == str(len(answer.body))
            assert answer.header("docker-content-digest") == digest_of(layer)
            assert answer.header("etag") == f'"{digest_of(layer)}"'
            assert each.ask(path).body == answer.body
            assert each.ask(path, "HEAD").header("content-length") == str(len(layer))
            exchange = each.exchange(path)
            assert (exchange["faults"], exchange["response_bytes"]) == (["swap"], len(answer.body))
            assert f"swap: serves {digest_of(answer.body)}" in each.timeline(path)
            part = each.ask(path, headers=[("Range", "bytes=10-19")])
            assert (part.status, part.body) == (206, answer.body[10:20])


def test_swap_of_what_is_missing(each: Registry) -> None:
    image = each.push(100)
    path = image.blob_path(b"never pushed")
    with each.rule(fault={"type": "swap"}) as rule:
        assert each.ask(path).status == 404
        assert each.rule_state(rule)["applied"] == 0


def test_swap_fabricated(each: Registry) -> None:
    path, _ = fabricated(each, "layers-2_size-10kib", "swap")
    answer = each.ask(path)
    assert answer.header("docker-content-digest") != digest_of(answer.body)
    assert answer.is_whole
    manifest = json.loads(each.ask("/v2/broken/swap/manifests/layers-2_size-10kib").body)
    known = {blob["digest"] for blob in (manifest["config"], *manifest["layers"])}
    assert digest_of(answer.body) in known


# wrong-length


@pytest.mark.parametrize("by", [1, 1000])
@pytest.mark.parametrize("endpoint", ["manifest", "config", "layer"])
def test_longer(each: Registry, image: Pushed, endpoint: str, by: int) -> None:
    path, body = content(image, endpoint)
    with each.rule(fault={"type": "wrong-length", "by": by}, match={"endpoint": endpoint}):
        answer = each.ask(path)
        head = each.ask(path, "HEAD")
    assert answer.header("content-length") == str(len(body) + by)
    assert (answer.body, answer.ended) == (body, "end-stream" if each.is_http2 else "fin")
    assert (head.header("content-length"), head.body) == (str(len(body) + by), b"")
    exchange = each.exchange(path)
    assert (exchange["faults"], exchange["response_bytes"]) == (["wrong-length"], len(body))


@pytest.mark.parametrize("by", [1, 100_000, SIZE, SIZE + 7])
def test_shorter(each: Registry, image: Pushed, by: int) -> None:
    path, body = content(image, "layer")
    announced = max(0, SIZE - by)
    with each.rule(fault={"type": "wrong-length", "form": "shorter", "by": by}):
        answer = each.ask(path, linger=0 if each.is_http2 else 5)
        head = each.ask(path, "HEAD")
    assert answer.header("content-length") == str(announced)
    assert answer.body + answer.rest == body
    assert answer.ended == ("end-stream" if each.is_http2 else "fin")
    if not each.is_http2:
        assert len(answer.body) == announced
    assert (head.header("content-length"), head.body) == (str(announced), b"")
    assert each.exchange(path)["response_bytes"] == SIZE


def test_absent(each: Registry, image: Pushed) -> None:
    path, body = content(image, "layer")
    with each.rule(fault={"type": "wrong-length", "form": "absent"}), each.connect() as connection:
        answers = [connection.ask(path) for _ in range(2)]
        head = connection.ask(path, "HEAD")
    for answer in answers:
        assert answer.header("content-length") is None
        assert answer.header("transfer-encoding") == (None if each.is_http2 else "chunked")
        assert (answer.body, answer.is_whole) == (body, True)
    assert (head.status, head.header("content-length")) == (200, None)
    assert each.exchange(path)["ended"] == "complete"


def test_an_empty_body_cannot_be_shorter(each: Registry) -> None:
    image = each.push(0)
    with each.rule(fault={"type": "wrong-length", "form": "shorter"}) as rule, each.connect() as connection:
        assert [connection.ask(image.layer_path()).status for _ in range(2)] == [200, 200]
        assert each.rule_state(rule)["applied"] == 0


# several at once


def test_two_faults_of_one_rule(each: Registry, image: Pushed) -> None:
    path, body = content(image, "layer")
    faults = [{"type": "corrupt", "offset": 3}, {"type": "truncate", "after": 1000}]
    for both in (faults, faults[::-1]):
        with each.rule(fault=both):
            answer = each.ask(path)
        assert answer.body == flipped(body, 3)[:1000]
        assert answer.ended == ended_as(each, "fin")
        assert each.exchange(path)["faults"] == [fault["type"] for fault in both]  # type: ignore[misc]


def test_nested_paths(each: Registry, image: Pushed) -> None:
    prefix = "broken/with/truncate_after-2000_end-rst/broken/with/corrupt_offset-9/"
    answer: Answer = each.ask(image.layer_path(prefix))
    assert answer.body == flipped(image.layers[0], 9)[:2000]
    assert answer.ended == ended_as(each, "rst")
    exchange = each.exchange(image.layer_path(prefix))
    assert (exchange["faults"], exchange["response_bytes"]) == (["truncate", "corrupt"], 2000)
