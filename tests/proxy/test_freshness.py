"""Tags through the proxy: revalidated after their time-to-live, and served stale if the upstream fails."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.proxy.chain import Chain, ask_control, exchange, exchanges, last
from tests.proxy.scripted import Answer, Scripted
from tests.proxy.upstreams import plain
from tests.registry.pushing import (
    MIB,
    OCI_INDEX,
    OCI_MANIFEST,
    connect,
    digest_of,
    error_of,
    image,
    until_in_flight,
)
from tests.server import Brokenreg, brokenreg

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CLIENTS = 20
_names = itertools.count(1)


@dataclass
class Tagged:
    """A repository for one test, with the tag v1 at the upstream."""

    chain: Chain
    name: str = field(default_factory=lambda: f"org/fresh-{next(_names)}")

    @property
    def path(self) -> str:
        return f"/v2/{self.name}/manifests/v1"

    def by_digest(self, manifest: bytes) -> str:
        return f"/v2/{self.name}/manifests/{digest_of(manifest)}"

    def push(self, content: bytes = b"layer") -> bytes:
        """Point the tag at an image with that layer, and return its manifest."""
        return self.chain.push_image(self.name, content)

    @property
    def named(self) -> str:
        """Return the path of the tag with its upstream in the name, so that failures are reported."""
        return f"/quay.io{self.path}"

    def pull(self, path: str = "") -> tuple[bytes, str | None]:
        """Return the manifest, and how the cache was used."""
        response = self.chain.get(path or self.path)
        assert response.status_code == 200, response.text
        return response.content, self.cache()

    def cache(self) -> str | None:
        """Return how the cache was used for the last response."""
        told: str | None = exchanges(self.chain.proxy, f"repository:{self.name}")[-1]["cache"]
        return told

    def cached(self) -> list[dict[str, Any]]:
        """Return all repositories in the cache."""
        return list(ask_control(self.chain.proxy, "repositories", namespace="@quay.io"))

    def asked(self) -> list[tuple[str, str, int]]:
        """Return the method, reference and status of the requests that the upstream received."""
        found = self.chain.asked(f"repository:{self.name} endpoint:manifest -method:PUT")
        return [(each["method"], each["reference"], each["status"]) for each in found]


@pytest.fixture(scope="module")
def always(upstream: Brokenreg, odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy that revalidates each tag each time."""
    options = (*to(upstream), "--upstream", f"odd.test={odd.url}", "--tag-ttl", "0s")
    with brokenreg(tmp_path_factory.mktemp("proxy") / "data", *options) as proxy:
        yield Chain(upstream, proxy)


@pytest.fixture
def tagged(always: Chain) -> Tagged:
    always.mend()
    return Tagged(always)


@pytest.fixture
def mended(upstream: Brokenreg) -> Brokenreg:
    """An upstream without rules, for a test that starts its own proxy."""
    assert httpx.post(f"{upstream.control}/v1/reset").status_code == 204
    return upstream


def to(upstream: Brokenreg) -> tuple[str, str]:
    """Return the options that make the proxy find quay.io at `url`."""
    return ("--upstream", f"quay.io={upstream.url}")


def test_a_fresh_tag_causes_no_request(mended: Brokenreg, tmp_path: Path) -> None:
    with brokenreg(tmp_path / "proxy", *to(mended)) as proxy:
        tagged = Tagged(Chain(mended, proxy))
        manifest = tagged.push()
        assert tagged.pull() == (manifest, "miss")
        tagged.push(b"another layer")
        assert [tagged.pull() for _ in range(3)] == [(manifest, "hit")] * 3
        assert tagged.asked() == [("GET", "v1", 200)]


def test_a_tag_is_requested_again_after_its_lifetime(mended: Brokenreg, tmp_path: Path) -> None:
    with brokenreg(tmp_path / "proxy", *to(mended), "--tag-ttl", "300ms") as proxy:
        tagged = Tagged(Chain(mended, proxy))
        manifest = tagged.push()
        tagged.pull()
        while (pulled := tagged.pull()) == (manifest, "hit"):
            pass
        assert pulled == (manifest, "revalidated")


def test_an_unchanged_tag_causes_a_head(tagged: Tagged) -> None:
    manifest = tagged.push()
    pulled = [tagged.pull() for _ in range(3)]
    assert pulled == [(manifest, "miss"), (manifest, "revalidated"), (manifest, "revalidated")]
    assert tagged.asked() == [("GET", "v1", 200), ("HEAD", "v1", 304), ("HEAD", "v1", 304)]


def test_a_real_registry_gets_as_few_requests(tmp_path: Path) -> None:
    with plain(tmp_path / "upstream") as upstream:
        options = ("--upstream", f"quay.io={upstream.url}", "--tag-ttl", "0s")
        with brokenreg(tmp_path / "proxy", *options) as proxy:
            path = "/v2/org/image/manifests"
            first, second = image(b"{}", b"one"), image(b"{}", b"two")
            upstream.push("org/image", "v1", first, b"{}", b"one")
            assert [httpx.get(f"{proxy.url}{path}/v1").content for _ in range(3)] == [first] * 3
            upstream.push("org/image", "v1", second, b"{}", b"two")
            assert [httpx.get(f"{proxy.url}{path}/v1").content for _ in range(2)] == [second] * 2
            asked = [(each.method, each.target, each.status) for each in upstream.requests()]
    assert [each for each in asked if each[1].startswith(path) and each[0] != "PUT"] == [
        ("GET", f"{path}/v1", 200),
        ("HEAD", f"{path}/v1", 304),
        ("HEAD", f"{path}/v1", 304),
        ("HEAD", f"{path}/v1", 200),
        ("GET", f"{path}/{digest_of(second)}", 200),
        ("HEAD", f"{path}/v1", 304),
    ]


def test_a_tag_that_has_moved_is_fetched_by_digest(tagged: Tagged) -> None:
    first = tagged.push(b"one")
    tagged.pull()
    second = tagged.push(b"two")
    assert tagged.pull() == (second, "miss")
    assert tagged.asked()[1:] == [("HEAD", "v1", 200), ("GET", digest_of(second), 200)]
    tagged.push(b"one")
    assert tagged.pull() == (first, "revalidated")
    assert tagged.asked()[3:] == [("HEAD", "v1", 200)]


def test_head_revalidates_as_get_does(tagged: Tagged) -> None:
    manifest = tagged.push()
    for _ in range(2):
        response = httpx.head(f"{tagged.chain.proxy.url}{tagged.path}")
        assert response.headers["docker-content-digest"] == digest_of(manifest)
        assert response.headers["content-length"] == str(len(manifest))
    assert tagged.asked() == [("GET", "v1", 200), ("HEAD", "v1", 304)]


def test_a_conditional_request_is_answered_after_revalidation(tagged: Tagged) -> None:
    first = tagged.push(b"one")
    known = {"if-none-match": f'"{digest_of(first)}"'}
    assert [tagged.chain.get(tagged.path, headers=known).status_code for _ in range(2)] == [304, 304]
    second = tagged.push(b"two")
    response = tagged.chain.get(tagged.path, headers=known)
    assert (response.status_code, response.content) == (200, second)


def test_a_digest_is_always_fresh(tagged: Tagged) -> None:
    manifest = tagged.push()
    path = tagged.by_digest(manifest)
    assert [tagged.pull(path) for _ in range(2)] == [(manifest, "miss"), (manifest, "hit")]
    assert tagged.asked() == [("GET", digest_of(manifest), 200)]
    assert tagged.pull() == (manifest, "miss")
    assert tagged.pull(path) == (manifest, "hit")
    assert len(tagged.asked()) == 2


@pytest.mark.parametrize("fault", [{"type": "not-found"}, {"type": "error", "status": 410}])
def test_a_tag_that_the_upstream_deleted_is_deleted(tagged: Tagged, fault: dict[str, Any]) -> None:
    manifest = tagged.push()
    tagged.pull()
    tagged.chain.rule(fault, "manifest")
    assert error_of(tagged.chain.get(tagged.path), 404)["code"] == "MANIFEST_UNKNOWN"
    assert tagged.cache() is None
    tags = ask_control(tagged.chain.proxy, f"repositories/{tagged.name}/tags", namespace="@quay.io")
    assert tags == []
    assert tagged.pull(tagged.by_digest(manifest)) == (manifest, "hit")
    count = len(tagged.asked())
    tagged.chain.rule({"type": "error", "status": 503}, "manifest")
    assert tagged.chain.get(tagged.path).status_code == 404  # it is remembered, and nothing stale is served
    assert len(tagged.asked()) == count


PASSING = [
    *({"type": "error", "status": status} for status in (500, 502, 503, 504)),
    {"type": "rate-limit"},
    {"type": "reset"},
    {"type": "empty-reply"},
    {"type": "malformed", "form": "garbage"},
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: "-".join(map(str, fault.values())))
def test_the_cached_tag_is_served_if_the_upstream_fails(tagged: Tagged, fault: dict[str, Any]) -> None:
    manifest = tagged.push()
    tagged.pull()
    tagged.chain.rule(fault, "manifest", match={"method": "HEAD"})
    assert tagged.pull() == (manifest, "stale")
    (found,) = exchanges(tagged.chain.proxy, f"cache:stale repository:{tagged.name}")
    assert found["status"] == 200
    points = exchange(tagged.chain.proxy, found["id"])["timeline"]
    assert any(point["kind"] == "stale" and "quay.io" in point["data"]["reason"] for point in points)
    tagged.chain.mend()
    assert tagged.pull() == (manifest, "revalidated")


def test_the_cached_tag_is_served_without_an_upstream(mended: Brokenreg, tmp_path: Path) -> None:
    with brokenreg(tmp_path / "proxy", *to(mended)) as proxy:
        tagged = Tagged(Chain(mended, proxy))
        manifest = tagged.push()
        tagged.pull()
        proxy.stop()
    nowhere = ("--upstream", f"quay.io={free_url()}")
    with brokenreg(tmp_path / "proxy", *nowhere) as proxy:
        tagged.chain = Chain(mended, proxy)
        assert tagged.pull() == (manifest, "stale")
        assert error_of(tagged.chain.get("/v2/org/other/manifests/v1"), 502)["code"] == "UNAVAILABLE"
        proxy.stop()
    with brokenreg(tmp_path / "proxy", "--offline") as proxy:
        tagged.chain = Chain(mended, proxy)
        assert tagged.pull() == (manifest, "hit")
        error = error_of(tagged.chain.get(f"/v2/{tagged.name}/manifests/v2"), 404)
        assert "brokenreg is offline (--offline)" in error["message"]
        assert len(tagged.asked()) == 1


def test_a_moved_tag_that_cannot_be_fetched(tagged: Tagged) -> None:
    manifest = tagged.push(b"one")
    tagged.pull()
    moved = tagged.push(b"two")
    tagged.chain.rule({"type": "error", "status": 503}, "manifest", match={"method": "GET"})
    assert tagged.pull() == (manifest, "stale")
    tagged.chain.mend()
    assert tagged.pull() == (moved, "miss")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "error", "status": 401}, 401),
        ({"type": "error", "status": 403}, 403),
        ({"type": "error", "status": 400}, 502),
        ({"type": "no-digest", "form": "malformed"}, 502),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_permanent_errors_are_reported(tagged: Tagged, fault: dict[str, Any], status: int) -> None:
    """A client that may no longer access an image must not get it from the cache."""
    manifest = tagged.push(b"one")
    tagged.pull()
    tagged.push(b"two")
    tagged.chain.rule(fault, "manifest")
    assert "quay.io" in error_of(tagged.chain.get(tagged.named), status)["message"]
    assert not exchanges(tagged.chain.proxy, f"cache:stale repository:{tagged.name}")
    assert tagged.pull(tagged.by_digest(manifest)) == (manifest, "hit")


def test_a_silent_upstream_is_not_contacted_for_a_while(mended: Brokenreg, tmp_path: Path) -> None:
    """Responses in this time are stale as well. After a restart, nothing is fresh."""
    with brokenreg(tmp_path / "proxy", *to(mended)) as proxy:
        tagged = Tagged(Chain(mended, proxy))
        manifest = tagged.push()
        tagged.pull()
        proxy.stop()
    with brokenreg(tmp_path / "proxy", *to(mended), "--upstream-timeout", "500ms") as proxy:
        tagged.chain = Chain(mended, proxy)
        tagged.chain.rule({"type": "latency", "dur": "10s"}, "manifest")
        assert [tagged.pull() for _ in range(3)] == [(manifest, "stale")] * 3
        assert [each[:2] for each in tagged.asked()] == [("GET", "v1"), ("HEAD", "v1")]
        first = exchange(proxy, exchanges(proxy, "cache:stale")[0]["id"])
        assert "in time" in json.dumps(first["timeline"])


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_is_passed_on_unchanged(tagged: Tagged, kind: str) -> None:
    """Also to clients that accept other types, and including spaces."""
    manifest = tagged.push()
    members = [{"mediaType": OCI_MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}]
    body = (
        json.dumps({"manifests": members, "schemaVersion": 2, "ünknown": 1.50}, indent=3).encode() + b"\n\n"
    )
    place = f"{tagged.chain.upstream.url}/v2/{tagged.name}/manifests/v1"
    assert httpx.put(place, content=body, headers={"content-type": kind}).status_code == 201
    for method, accept in itertools.product(("GET", "HEAD"), ("*/*", OCI_MANIFEST)):
        response = httpx.request(method, f"{tagged.chain.proxy.url}{tagged.path}", headers={"accept": accept})
        assert response.headers["content-type"] == kind
        assert response.headers["docker-content-digest"] == digest_of(body)
        assert response.content == (body if method == "GET" else b"")
    assert tagged.pull(tagged.by_digest(manifest)) == (manifest, "miss")


@pytest.mark.parametrize("is_known", [False, True], ids=["cold", "cached"])
def test_concurrent_requests_share_one_request_upstream(tagged: Tagged, is_known: bool) -> None:
    manifest = tagged.push()
    if is_known:
        tagged.pull()
    tagged.chain.rule({"type": "hold"}, "manifest", times=1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        pulls = [pool.submit(tagged.chain.get, tagged.path) for _ in range(CLIENTS)]
        until_in_flight(tagged.chain.upstream, 1)
        until_in_flight(tagged.chain.proxy, CLIENTS)
        assert httpx.post(f"{tagged.chain.upstream.control}/v1/resume").is_success
        assert [each.result().content for each in pulls] == [manifest] * CLIENTS
    found = exchanges(tagged.chain.proxy, f"repository:{tagged.name}")[is_known:]
    first = "revalidated" if is_known else "miss"
    assert sorted(each["cache"] for each in found) == ["joined"] * (CLIENTS - 1) + [first]
    assert len(tagged.asked()) == 1 + is_known


def test_a_fetch_continues_after_its_client_disconnects(tagged: Tagged) -> None:
    manifest = tagged.push()
    tagged.chain.rule({"type": "hold"}, "manifest", times=1)
    with connect(tagged.chain.proxy) as client:
        client.sendall(f"GET {tagged.path} HTTP/1.1\r\nHost: {tagged.chain.proxy.host}\r\n\r\n".encode())
        until_in_flight(tagged.chain.upstream, 1)
    until_in_flight(tagged.chain.proxy, 0)
    assert tagged.cache() is None
    assert httpx.post(f"{tagged.chain.upstream.control}/v1/resume").is_success
    until = time.monotonic() + 5
    while tagged.name not in [each["name"] for each in tagged.cached()]:
        assert time.monotonic() < until, "it is not kept"
    assert tagged.pull(tagged.by_digest(manifest)) == (manifest, "hit")
    assert tagged.asked() == [("GET", "v1", 200)]


def test_concurrent_clients_all_get_the_stale_result(tagged: Tagged) -> None:
    manifest = tagged.push()
    tagged.pull()
    tagged.chain.rule([{"type": "hold"}, {"type": "error", "status": 503}], "manifest", times=1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        pulls = [pool.submit(tagged.chain.get, tagged.path) for _ in range(CLIENTS)]
        until_in_flight(tagged.chain.upstream, 1)
        until_in_flight(tagged.chain.proxy, CLIENTS)
        assert httpx.post(f"{tagged.chain.upstream.control}/v1/resume").is_success
        assert [each.result().content for each in pulls] == [manifest] * CLIENTS
    assert len(exchanges(tagged.chain.proxy, f"repository:{tagged.name} cache:stale")) == CLIENTS


@pytest.mark.parametrize("status", [200, 405])
def test_a_head_without_a_digest(tagged: Tagged, status: int) -> None:
    tagged.push(b"one")
    tagged.pull()
    manifest = tagged.push(b"two")
    tagged.chain.rule({"type": "head-differs", "status": status}, "manifest", match={"method": "HEAD"})
    assert tagged.pull() == (manifest, "miss")
    assert tagged.asked()[1:] == [("HEAD", "v1", status), ("GET", "v1", 200)]


@pytest.mark.parametrize(
    "fault",
    [
        *({"type": "head-differs", "status": status} for status in (404, 403, 401, 400, 410)),
        {"type": "redirect", "form": "expired"},
        {"type": "redirect", "form": "loop"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_get_follows_a_refused_head(tagged: Tagged, fault: dict[str, Any]) -> None:
    manifest = tagged.push()
    tagged.pull()
    tagged.chain.rule(fault, "manifest", match={"method": "HEAD"})
    for _ in range(2):
        assert tagged.pull() == (manifest, "miss")
    moved = tagged.push(b"moved")
    assert tagged.pull() == (moved, "miss")


def test_tags_that_are_gone_may_be_kept(mended: Brokenreg, tmp_path: Path) -> None:
    with brokenreg(tmp_path / "proxy", *to(mended), "--tag-ttl", "0s", "--keep-gone") as proxy:
        tagged = Tagged(Chain(mended, proxy))
        manifest = tagged.push()
        tagged.pull()
        httpx.delete(f"{mended.url}{tagged.by_digest(manifest)}")
        for _ in range(2):
            assert tagged.pull() == (manifest, "stale")
            assert tagged.chain.get(f"/v2/{tagged.name}/tags/list").json()["tags"] == ["v1"]
        assert tagged.chain.get(f"/v2/{tagged.name}/manifests/v2").status_code == 404
        other = tagged.push(b"other")
        assert tagged.pull() == (other, "miss")
        tagged.chain.push_image(tagged.name, b"two", tag="v2")
        httpx.delete(f"{mended.url}{tagged.path}")
        assert tagged.chain.get(f"/v2/{tagged.name}/tags/list").json()["tags"] == ["v1", "v2"]


def test_a_head_that_answers_in_full(always: Chain, odd: Scripted) -> None:
    """The same digest is equivalent to a 304."""
    manifest, path = image(b"{}"), "/v2/a/full/manifests/v1"
    told = {"content-type": OCI_MANIFEST, "docker-content-digest": digest_of(manifest)}
    odd.answers[path] = Answer(200, told, manifest)
    for cache in ("miss", "revalidated"):
        assert always.get(f"/odd.test{path}").content == manifest
        assert last(always.proxy)["cache"] == cache
    assert odd.asked == [("GET", path), ("HEAD", path)]


def test_a_head_with_a_digest_that_is_missing(tagged: Tagged) -> None:
    """The digest is wrong, or the tag has moved again: the tag itself is requested."""
    tagged.push(b"one")
    tagged.pull()
    manifest = tagged.push(b"two")
    tagged.chain.rule({"type": "no-digest", "form": "wrong"}, "manifest", match={"method": "HEAD"})
    assert tagged.pull() == (manifest, "miss")
    assert [each[::2] for each in tagged.asked()[1:]] == [("HEAD", 200), ("GET", 404), ("GET", 200)]


def test_a_get_with_a_wrong_digest(tagged: Tagged) -> None:
    """Cached content stays, but is not served in its place."""
    manifest = tagged.push(b"one")
    tagged.pull()
    moved = tagged.push(b"two")
    tagged.chain.rule({"type": "corrupt", "offset": 40}, "manifest", match={"method": "GET"})
    message = error_of(tagged.chain.get(tagged.path), 502)["message"]
    assert f"for manifest {digest_of(moved)}" in message
    assert tagged.chain.get(tagged.by_digest(moved)).status_code == 502
    tagged.chain.mend()
    assert tagged.pull(tagged.by_digest(manifest)) == (manifest, "hit")
    assert tagged.pull() == (moved, "miss")


TOO_LARGE = b'{"schemaVersion":2,"x":"' + b"x" * (4 * MIB) + b'"}'
NO_MANIFESTS = {
    "too large": Answer(200, {"content-type": OCI_MANIFEST}, TOO_LARGE),
    "too large, of no length": Answer(200, {"content-type": OCI_MANIFEST}, TOO_LARGE, chunked=True),
    "a page": Answer(200, {"content-type": "text/html"}, b"<!doctype html><title>Sign in</title>"),
    "a list": Answer(200, {"content-type": OCI_MANIFEST}, b"[]"),
    "nothing": Answer(200, {"content-type": OCI_MANIFEST}),
    "half of one": Answer(200, {"content-type": OCI_MANIFEST}, image(b"{}")[:100]),
    "a depth": Answer(200, {"content-type": OCI_MANIFEST}, b'{"a":' * 100_000),
    "of another digest": Answer(200, {"docker-content-digest": digest_of(b"else")}, image(b"{}")),
    "of a digest that is none": Answer(200, {"docker-content-digest": "sha256:../../etc"}, image(b"{}")),
}


@pytest.mark.parametrize("answer", NO_MANIFESTS.values(), ids=NO_MANIFESTS.keys())
def test_invalid_manifests_are_neither_served_nor_kept(always: Chain, odd: Scripted, answer: Answer) -> None:
    name = f"no/manifest-{next(_names)}"
    path = f"/v2/{name}/manifests/v1"
    odd.answers[path] = answer
    error = error_of(always.get(f"/odd.test{path}"), 502)
    assert error["code"] == "UNAVAILABLE"
    assert error["message"].startswith("odd.test sent ")
    assert len(error["message"]) < 300
    cached = ask_control(always.proxy, "repositories", namespace="@odd.test")
    assert name not in [each["name"] for each in cached]
    odd.answers[path] = Answer(200, {"content-type": OCI_MANIFEST}, image(b"{}"))
    assert always.get(f"/odd.test{path}").content == image(b"{}")


@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_manifest(always: Chain, odd: Scripted, chunked: bool) -> None:
    body = TOO_LARGE[: 4 * MIB - 2] + b'"}'
    assert len(body) == 4 * MIB
    path = f"/v2/a/largest/manifests/{chunked}"
    odd.answers[path] = Answer(200, {"content-type": OCI_MANIFEST}, body, chunked=chunked)
    assert always.get(f"/odd.test{path}").content == body


def free_url() -> str:
    """Return a URL on which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
