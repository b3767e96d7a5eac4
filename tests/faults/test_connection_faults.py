"""reset, empty-reply, malformed, h2-reset and h2-goaway: how connections and streams end."""

from __future__ import annotations

import json

import pytest

from tests.raw_http import HTTP1, HTTP2
from tests.registry.pushing import MIB
from tests.running_registry import Registry

GARBAGE = b"\x00\x16\x03\x01 this is not HTTP \xff\xfe\r\n\r\n"


@pytest.mark.parametrize(("fault", "end"), [("reset", "rst"), ("empty-reply", "fin")])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_answer_at_all(each: Registry, method: str, fault: str, end: str) -> None:
    path = each.push(1000).layer_path()
    with each.rule(fault=fault, match={"endpoint": "layer"}):
        answer = each.ask(path, method)
    assert (answer.raw, answer.status, answer.headers, answer.body) == (b"", None, [], b"")
    assert answer.ended == end
    exchange = each.exchange(path, method)
    assert (exchange["faults"], exchange["status"]) == ([fault], None)
    assert (exchange["response_bytes"], exchange["ended"]) == (0, "aborted")
    assert f"cut ({end})" in each.timeline(path, method)


@pytest.mark.parametrize(("fault", "end"), [("reset", "rst"), ("empty-reply", "fin")])
def test_after_an_answer_on_the_same_connection(each: Registry, fault: str, end: str) -> None:
    image = each.push(1000)
    with each.rule(fault=fault, match={"endpoint": "layer"}), each.connect() as connection:
        assert connection.ask(image.manifest_path()).body == image.manifest
        assert connection.ask(image.layer_path()).ended == end


@pytest.mark.parametrize(("fault", "end"), [("reset", "rst"), ("empty-reply", "fin")])
def test_a_push_that_is_not_answered(each: Registry, fault: str, end: str) -> None:
    """The request is read. Only an empty reply comes after the registry has carried it out."""
    repository = each.push(10).repository
    path = f"/v2/{repository}/manifests/pushed"
    with each.rule(fault=fault, match={"endpoint": "manifest", "method": "PUT"}):
        answer = each.ask(path, "PUT", content=b"{}" * 20_000)
    assert (answer.status, answer.ended) == (None, end)
    assert each.ask(path).status == (200 if fault == "empty-reply" else 404)


def test_a_reset_in_the_middle_of_a_push(http1: Registry) -> None:
    """`after` bytes are read, and the RST does not wait for the rest."""
    repository = http1.push(10).repository
    start = http1.ask(f"/v2/{repository}/blobs/uploads/", "POST")
    location = start.header("location") or ""
    with (
        http1.rule(
            fault={"type": "reset", "after": "100KiB"}, match={"endpoint": "upload", "method": "PATCH"}
        ),
        HTTP1(http1.running) as connection,
    ):
        whole = connection.request(location, "PATCH", content=bytes(MIB))
        connection.send(whole[: 90 * 1024])
        assert connection.receive(0.2) == b""
        assert connection.ended is None
        connection.send(whole[90 * 1024 : 200 * 1024])
        assert connection.read().ended == "rst"
    exchange = http1.exchange(location, "PATCH")
    assert 100 * 1024 <= exchange["request_bytes"] <= 200 * 1024
    assert http1.ask(location).header("range") == "0-0"


def test_a_reset_takes_other_streams_along(http2: Registry) -> None:
    image = http2.push(1000)
    with (
        http2.rule(fault="reset"),
        http2.rule(fault="stall", match={"endpoint": "manifest"}),
        HTTP2(http2.running) as connection,
    ):
        stalled = connection.begin(image.manifest_path())
        assert connection.ask(image.layer_path()).ended == "rst"
        assert connection.read(stalled).ended == "rst"
    assert http2.exchange(image.manifest_path())["ended"] == "aborted"


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("garbage", GARBAGE),
        ("status-line", b"HTTP/1.1 two-hundred OK\r\nContent-Length: 0\r\n\r\n"),
        ("header", b"HTTP/1.1 200 OK\r\nContent-Length 0\r\n: nameless\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_malformed(http1: Registry, method: str, form: str, sent: bytes) -> None:
    path = http1.push(10).manifest_path()
    with http1.rule(fault={"type": "malformed", "form": form}):
        answer = http1.ask(path, method)
    assert (answer.raw, answer.ended) == (sent, "fin")
    exchange = http1.exchange(path, method)
    assert exchange["faults"] == ["malformed"]
    assert (exchange["response_bytes"], exchange["ended"]) == (0, "aborted")


def test_a_bad_chunk(http1: Registry) -> None:
    """The bad chunk is in the middle of a chunked body."""
    image = http1.push(300_000)
    for path, body in ((image.manifest_path(), image.manifest), (image.layer_path(), image.layers[0])):
        with http1.rule(fault={"type": "malformed", "form": "chunk"}, match={"endpoint": "any"}):
            answer = http1.ask(path)
            head = http1.ask(path, "HEAD")
        assert (answer.status, answer.is_whole, answer.ended) == (200, False, "fin")
        assert (answer.header("content-length"), answer.header("transfer-encoding")) == (None, "chunked")
        good, _, bad = answer.body.rpartition(b"no-size\r\n")
        assert 0 < len(good) < len(body)
        assert (body[: len(good)], bad) == (good, b"")
        assert (head.status, head.header("content-length")) == (200, str(len(body)))
        assert http1.exchange(path)["response_bytes"] == len(good)


@pytest.mark.parametrize("fault", ["h2-reset", "h2-goaway"])
def test_http1_cannot_express_it(http1: Registry, fault: str) -> None:
    has_no_effect(http1, fault, "http/1.1")


def test_http2_cannot_express_it(http2: Registry) -> None:
    has_no_effect(http2, "malformed", "h2")


def has_no_effect(registry: Registry, fault: str, protocol: str) -> None:
    """Check that the response is unchanged, the exchange says why, and the rule does not count as applied."""
    image = registry.push(1000)
    path = image.layer_path()
    with registry.rule(fault=fault, match={"endpoint": "layer"}) as rule:
        answer = registry.ask(path)
        assert (registry.rule_state(rule)["matched"], registry.rule_state(rule)["applied"]) == (0, 0)
    assert (answer.status, answer.body, answer.is_whole) == (200, image.layers[0], True)
    exchange = registry.exchange(path)
    assert (exchange["faults"], exchange["rule"], exchange["ended"]) == ([], None, "complete")
    assert f"{fault}: not applicable: {protocol} cannot express it" in registry.timeline(path)
    with registry.control() as control:
        (entry,) = [each for each in control.get("/v1/faults").json() if each["name"] == fault]
        assert protocol not in entry["protocols"]
        refused = control.post("/v1/rules", json={"fault": fault, "match": {"protocol": protocol}})
        assert refused.status_code == 400
        assert fault in refused.json()["detail"]


@pytest.mark.parametrize("code", [None, 0, 7, 8, 2**32 - 1])
@pytest.mark.parametrize("after", [0, 1, 65_536, 299_999])
def test_h2_reset(http2: Registry, after: int, code: int | None) -> None:
    image = http2.push(300_000)
    told = {} if code is None else {"code": code}
    with (
        http2.rule(fault={"type": "h2-reset", "after": after, **told}, times=1),
        HTTP2(http2.running) as connection,
    ):
        answer = connection.ask(image.layer_path())
        assert (answer.ended, answer.code) == ("rst-stream", 2 if code is None else code)
        assert (answer.status, answer.body) == (200 if after else None, image.layers[0][:after])
        assert connection.is_alive()
        assert connection.ask(image.layer_path()).body == image.layers[0]
    with http2.control() as control:
        exchanges = [e for e in control.get("/v1/exchanges").json() if e["path"] == image.layer_path()]
    assert [each["faults"] for each in exchanges] == [["h2-reset"], []]
    assert [each["response_bytes"] for each in exchanges] == [after, 300_000]
    assert [each["ended"] for each in exchanges] == ["aborted", "complete"]


@pytest.mark.parametrize("code", [None, 2, 11])
@pytest.mark.parametrize("after", [0, 1000])
def test_h2_goaway(http2: Registry, after: int, code: int | None) -> None:
    """GOAWAY with the stream before this one, then FIN."""
    image = http2.push(300_000)
    told = {} if code is None else {"code": code}
    with (
        http2.rule(fault={"type": "h2-goaway", "after": after, **told}),
        HTTP2(http2.running) as connection,
    ):
        assert connection.ask(image.manifest_path()).body == image.manifest
        answer = connection.ask(image.layer_path(), linger=2)
        assert (answer.ended, answer.code, answer.last_stream) == ("goaway", code or 0, 1)
        assert (answer.status, answer.body) == (200 if after else None, image.layers[0][:after])
        assert connection.ended == "fin"
    exchange = http2.exchange(image.layer_path())
    assert (exchange["faults"], exchange["response_bytes"], exchange["ended"]) == (
        ["h2-goaway"],
        after,
        "aborted",
    )


@pytest.mark.parametrize("fault", ["h2-reset", "h2-goaway"])
def test_a_body_too_short_for_it(http2: Registry, fault: str) -> None:
    image = http2.push(1000)
    with http2.rule(fault={"type": fault, "after": 1000}) as rule, HTTP2(http2.running) as connection:
        assert connection.ask(image.layer_path()).body == image.layers[0]
        assert connection.ask(image.layer_path(), "HEAD").header("content-length") == "1000"
        assert connection.is_alive()
        assert http2.rule_state(rule)["applied"] == 0
    assert http2.exchange(image.layer_path())["faults"] == []


@pytest.mark.slow
def test_h2_reset_of_a_fabricated_layer(http2: Registry) -> None:
    tag = "after-300kib_code-8_layers-1"
    manifest = json.loads(http2.ask(f"/v2/broken/h2-reset/manifests/{tag}").body)
    path = f"/v2/broken/h2-reset/blobs/{manifest['layers'][0]['digest']}"
    answer = http2.ask(path)
    assert (len(answer.body), answer.ended, answer.code) == (300 * 1024, "rst-stream", 8)
