"""An image of another registry has one name in pushes, rules and the log; responses use the requested one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest

from tests.proxy.chain import exchanges
from tests.registry.pushing import digest_of
from tests.server import Brokenreg, brokenreg

ONE = "docker.io/library/hello"
CONTENT = b"pushed here"


@dataclass(frozen=True)
class Way:
    """One of several forms of the same name: its prefix, its spelling and the query."""

    said: str
    root: str
    name: str
    query: str = ""
    at_mirror: bool = False


WAYS = [
    Way("short", "", "docker.io/hello"),
    Way("long", "", "docker.io/library/hello"),
    Way("another host", "", "index.docker.io/library/hello"),
    Way("ns", "", "library/hello", "ns=docker.io"),
    Way("ns and host", "", "docker.io/library/hello", "ns=docker.io"),
    Way("root", "/docker.io", "hello"),
    Way("listener", "", "library/hello", at_mirror=True),
    Way("listener, short", "", "hello", at_mirror=True),
]
EACH = pytest.mark.parametrize("way", WAYS, ids=[way.said for way in WAYS])


@dataclass(frozen=True)
class Both:
    """A registry with two listeners. The second one stands for docker.io."""

    running: Brokenreg
    mirror: str
    http: httpx.Client

    def url(self, way: Way, rest: str) -> str:
        base = self.mirror if way.at_mirror else self.running.url
        query = f"{'&' if '?' in rest else '?'}{way.query}" if way.query else ""
        return f"{base}{way.root}/v2/{way.name}/{rest}{query}"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    listeners = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=docker.io")
    with brokenreg(tmp_path_factory.mktemp("both"), *listeners) as running:
        mirror = httpx.get(f"{running.control}/v1/status").json()["registry"][1]
        with httpx.Client(timeout=30) as http:
            yield Both(running, mirror, http)


@EACH
def test_content_that_is_pushed_with_one_name_is_found_with_all(both: Both, way: Way) -> None:
    manifest = f'{{"schemaVersion": 2, "by": "{way.said}"}}'.encode()
    tag = way.said.replace(" ", "-").replace(",", "")
    assert both.http.put(both.url(way, f"manifests/{tag}"), content=manifest).status_code == 201
    for other in WAYS:
        assert both.http.get(both.url(other, f"manifests/{tag}")).content == manifest, other
        listed = both.http.get(both.url(other, "tags/list")).json()
        assert listed["name"] == other.name
        assert tag in listed["tags"]


@EACH
def test_a_blob_is_found_by_its_requested_name(both: Both, way: Way) -> None:
    put = both.http.post(both.url(way, f"blobs/uploads/?digest={digest_of(CONTENT)}"), content=CONTENT)
    expected = both.url(way, f"blobs/{digest_of(CONTENT)}")
    assert (put.status_code, put.headers["location"]) == (201, expected.partition(put.url.netloc.decode())[2])
    for other in WAYS:
        assert both.http.get(both.url(other, f"blobs/{digest_of(CONTENT)}")).content == CONTENT, other


def test_it_is_listed_once(both: Both) -> None:
    both.http.put(both.url(WAYS[0], "manifests/listed"), content=b"{}").raise_for_status()
    assert both.http.get(f"{both.running.url}/v2/_catalog").json()["repositories"] == [ONE]
    control = f"{both.running.control}/v1/repositories"
    assert [each["name"] for each in both.http.get(control).json()] == [ONE]
    for name in ("docker.io/hello", ONE, "index.docker.io/hello"):
        tags = both.http.get(f"{control}/{name}/tags").json()
        assert "listed" in [each["tag"] for each in tags]


@EACH
@pytest.mark.parametrize("glob", ["docker.io/library/hello", "docker.io/hello", "docker.io/lib*", "hello"])
def test_a_rule_and_a_filter_mean_it(both: Both, way: Way, glob: str) -> None:
    rule = {"match": {"repository": glob, "endpoint": "tags"}, "fault": {"type": "error", "status": 418}}
    added = both.http.post(f"{both.running.control}/v1/rules", json=rule)
    try:
        assert both.http.get(both.url(way, "tags/list")).status_code == 418
    finally:
        both.http.delete(f"{both.running.control}/v1/rules/{added.json()['id']}").raise_for_status()
    seen = exchanges(both.running, f"endpoint:tags repository:{glob}")[-1]
    assert (seen["status"], seen["repository"]) == (418, ONE)


def test_a_rule_counts_it_once(both: Both) -> None:
    """With `times: 2` per repository, the third request is served in any form of the name."""
    fault = {"type": "error", "status": 418}
    rule = {"match": {"endpoint": "tags"}, "fault": fault, "times": 2, "per": "repository"}
    both.http.put(both.url(WAYS[0], "manifests/counted"), content=b"{}").raise_for_status()
    added = both.http.post(f"{both.running.control}/v1/rules", json=rule)
    try:
        statuses = [both.http.get(both.url(way, "tags/list")).status_code for way in WAYS]
    finally:
        both.http.delete(f"{both.running.control}/v1/rules/{added.json()['id']}").raise_for_status()
    assert statuses == [418] * 2 + [200] * (len(WAYS) - 2)


def test_a_name_without_a_host_is_our_own(both: Both) -> None:
    """At a listener that does not stand for a registry, `hello` and `library/hello` differ."""
    own = f"{both.running.url}/v2/hello/manifests/own"
    both.http.put(own, content=b"{}").raise_for_status()
    try:
        assert both.http.get(own).status_code == 200
        for way in WAYS:
            assert both.http.get(both.url(way, "manifests/own")).status_code == 404
        assert both.http.get(f"{both.running.url}/v2/library/hello/manifests/own").status_code == 404
    finally:
        both.http.delete(f"{both.running.control}/v1/repositories/hello").raise_for_status()


@EACH
def test_a_mount_resolves_both_names_alike(both: Both, way: Way) -> None:
    """`from` is resolved in the same way as the request's own name."""
    content = f"mounted: {way.said}".encode()
    digest = digest_of(content)
    put = both.http.post(both.url(WAYS[1], f"blobs/uploads/?digest={digest}"), content=content)
    assert put.status_code == 201
    other = replace(way, name=way.name.replace("hello", "other"))
    mounted = both.http.post(both.url(other, f"blobs/uploads/?mount={digest}&from={way.name}"))
    assert mounted.status_code == 201
    assert both.http.get(both.url(other, f"blobs/{digest}")).content == content
    assert mounted.headers["location"] == httpx.URL(both.url(other, f"blobs/{digest}")).raw_path.decode()


def test_a_mount_from_a_short_name_is_not_from_docker_io(both: Both) -> None:
    """At a listener that does not stand for a registry, `library/hello` is not docker.io's."""
    content = b"not yours"
    digest = digest_of(content)
    put = both.http.post(both.url(WAYS[1], f"blobs/uploads/?digest={digest}"), content=content)
    assert put.status_code == 201
    url = f"{both.running.url}/v2/docker.io/library/other/blobs/uploads/?mount={digest}&from=library/hello"
    assert both.http.post(url).status_code == 202
    assert both.http.post(url.replace("from=", "from=docker.io/")).status_code == 201
