"""Which bodies are recorded, for which exchanges, and how many bytes."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.traffic.bodies import MOST, NOTHING, Bodies, Body, BodyTap, Kept
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from tests.server import Brokenreg
from tests.traffic import making

DIGEST = "sha256:" + "0" * 64


def exchange(path: str, method: str = "GET", number: int = 1) -> Exchange:
    return making.exchange(path, method, id=number)


def passed(seen: Exchange, status: int, *parts: bytes, sent: bytes = b"") -> Kept:
    """Return what is recorded after that exchange."""
    tap = BodyTap(seen)
    tap.request(sent)
    seen.request_bytes += len(sent)
    seen.status = status
    tap.response({"type": "http.response.start", "status": status, "headers": []})
    for part in parts:
        tap.response({"type": "http.response.body", "body": part, "more_body": True})
    return tap.kept()


@pytest.mark.parametrize(
    ("method", "path", "status", "is_kept"),
    [
        ("GET", "/v2/app/manifests/v1", 200, True),
        ("GET", "/v2/app/tags/list", 200, True),
        ("GET", "/v2/app/manifests/v1", 404, True),
        ("GET", f"/v2/app/blobs/{DIGEST}", 404, True),
        ("HEAD", "/v2/app/manifests/v1", 200, False),
        ("GET", f"/v2/app/blobs/{DIGEST}", 200, False),
        ("GET", f"/v2/app/blobs/{DIGEST}", 307, False),
        ("GET", "/token", 200, False),
        ("GET", "/token", 401, False),
    ],
)
def test_documents_and_errors_are_recorded_but_not_blobs_and_tokens(
    method: str, path: str, status: int, is_kept: bool
) -> None:
    kept = passed(exchange(path, method), status, b"{}", b"\n")
    assert kept.response == (Body(b"{}\n", 3) if is_kept else None)


def test_a_pushed_manifest_is_recorded_but_not_a_pushed_blob() -> None:
    assert passed(exchange("/v2/app/manifests/v1", "PUT"), 201, sent=b"{}").request == Body(b"{}", 2)
    assert passed(exchange("/v2/app/blobs/uploads/x", "PATCH"), 202, sent=b"{}") == NOTHING


def test_the_first_64_kib_of_a_long_body_are_recorded() -> None:
    kept = passed(exchange("/v2/app/manifests/v1"), 200, b"a" * 40_000, b"b" * 40_000, b"c" * 40_000)
    assert kept.response is not None
    assert (len(kept.response.data), kept.response.size) == (MOST, 120_000)
    assert not kept.response.is_whole
    assert kept.response.data == b"a" * 40_000 + b"b" * (MOST - 40_000)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 120)), max_size=60))
def test_the_total_is_limited_and_the_oldest_are_removed(kept: list[tuple[int, int]]) -> None:
    bodies = Bodies(total=100)
    for number, size in kept:
        bodies.keep(exchange("/v2/", number=number), Kept(response=Body(b"x" * size, size)))
        assert bodies.length == sum(bodies.of(exchange("/v2/", number=n)).length for n in range(1, 10)) <= 100
        if 0 < size <= 100:
            assert bodies.of(exchange("/v2/", number=number)).length == size


def test_bodies_are_removed_with_their_exchange() -> None:
    log = TrafficLog(capacity=2)
    seen = [exchange("/v2/", number=number) for number in (1, 2, 3)]
    for each in seen:
        log.opened(each)
        log.bodies.keep(each, Kept(response=Body(b"12345", 5)))
    assert [log.bodies.of(each).length for each in seen] == [0, 5, 5]
    log.forget(lambda each: each.id == 2)
    assert log.bodies.length == 5
    assert log.bodies.of(seen[2]).length == 5


def test_recorded_bodies_are_in_the_har(registry: Brokenreg) -> None:
    image = f"{registry.url}/v2/broken/random/manifests/layers-1_size-70000"
    manifest = httpx.get(image)
    layer = manifest.json()["layers"][0]["digest"]
    httpx.get(f"{registry.url}/v2/broken/random/blobs/{layer}")
    httpx.get(f"{registry.url}/v2/broken/random/blobs/{DIGEST}")
    entries = httpx.get(f"{registry.control}/v1/exchanges.har").json()["log"]["entries"]
    assert [entry["response"]["content"].get("text") for entry in entries][:2] == [manifest.text, None]
    assert "BLOB_UNKNOWN" in entries[2]["response"]["content"]["text"]
