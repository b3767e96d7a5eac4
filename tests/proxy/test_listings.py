"""Lists through the proxy: all pages of the upstream's list, merged with pushed content."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.oci.target import parse_target
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.cache.listings import Key, ListCache, Listings
from brokenreg.proxy.errors import UpstreamStatusError
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.traffic.exchange import Exchange, UpstreamTrace
from tests.proxy.asked import asking
from tests.proxy.chain import PLAIN, Chain, exchanges, last
from tests.proxy.scripted import Answer, Scripted
from tests.proxy.upstreams import plain
from tests.registry.pushing import (
    MIB,
    OCI_INDEX,
    OCI_MANIFEST,
    digest_of,
    error_of,
    image,
    next_page,
    until_in_flight,
)
from tests.registry.test_referrers import SBOM, SIGNATURE, SUBJECT, about
from tests.server import Brokenreg, brokenreg

CLIENTS = 10
TAGS = ["v1", "v2", "v3", "v4", "v5"]
_names = itertools.count(1)


@dataclass
class Listed:
    """A repository for one test. Requests to the proxy use names that contain the upstream."""

    chain: Chain
    name: str = field(default_factory=lambda: f"org/listed-{next(_names)}")
    host: str = "/quay.io"

    def push(self, *tags: str, to: Brokenreg | None = None, manifest: bytes = SUBJECT) -> bytes:
        """Push a manifest to the upstream, or to another brokenreg."""
        url = self.chain.upstream.url if to is None else f"{to.url}{self.host}"
        headers = {"content-type": OCI_MANIFEST}
        with httpx.Client(base_url=url, headers=headers, verify=PLAIN) as http:
            for tag in tags or (digest_of(manifest),):
                assert http.put(f"/v2/{self.name}/manifests/{tag}", content=manifest).status_code == 201
        return manifest

    def get(self, query: str = "", *, host: str | None = None) -> httpx.Response:
        return self.chain.get(f"{self.host if host is None else host}/v2/{self.name}/tags/list{query}")

    def tags(self) -> list[str]:
        response = self.get()
        assert response.status_code == 200, response.text
        assert response.json()["name"] == self.name
        return list(response.json()["tags"])

    def referrers(self, query: str = "") -> list[str]:
        """Return the digests of the manifests that refer to SUBJECT."""
        response = self.ask_referrers(query)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == OCI_INDEX
        assert response.json()["mediaType"] == OCI_INDEX
        return [each["digest"] for each in response.json()["manifests"]]

    def ask_referrers(self, query: str = "") -> httpx.Response:
        return self.chain.get(f"{self.host}/v2/{self.name}/referrers/{digest_of(SUBJECT)}{query}")

    def cache(self) -> str | None:
        """Return how the cache was used for the last response."""
        told: str | None = exchanges(self.chain.proxy, f"repository:{self.name}")[-1]["cache"]
        return told

    def asked(self) -> list[int]:
        """Return the statuses of the upstream's responses to list requests."""
        found = self.chain.asked(
            f"repository:{self.name} endpoint:tags|repository:{self.name} endpoint:referrers"
        )
        return [each["status"] for each in found]


@pytest.fixture(scope="module")
def always(upstream: Brokenreg, odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy that requests lists each time."""
    options = (
        "--upstream",
        f"quay.io={upstream.url}",
        "--upstream",
        f"odd.test={odd.url}",
        "--tag-ttl",
        "0s",
    )
    with brokenreg(tmp_path_factory.mktemp("always") / "data", *options) as proxy:
        yield Chain(upstream, proxy)


@pytest.fixture(scope="module")
def usual(upstream: Brokenreg, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy with the default time-to-live."""
    options = ("--upstream", f"quay.io={upstream.url}")
    with brokenreg(tmp_path_factory.mktemp("usual") / "data", *options) as proxy:
        yield Chain(upstream, proxy)


@pytest.fixture
def listed(always: Chain) -> Listed:
    always.mend()
    return Listed(always)


@pytest.fixture
def kept(usual: Chain) -> Listed:
    usual.mend()
    return Listed(usual)


def test_all_tags_and_pages_of_them(listed: Listed) -> None:
    listed.push(*TAGS)
    assert listed.tags() == TAGS
    assert listed.get("?n=0").json()["tags"] == []
    assert listed.get("?last=v3").json()["tags"] == ["v4", "v5"]
    assert listed.get("?n=9&last=v4").json()["tags"] == ["v5"]
    assert error_of(listed.get("?n=two"), 400)["code"] == "PAGINATION_NUMBER_INVALID"
    pages, path = [], f"/v2/{listed.name}/tags/list?n=2"
    while path:
        response = listed.chain.get(path)
        pages.append(response.json()["tags"])
        path = next_page(response) or ""
    assert pages == [["v1", "v2"], ["v3", "v4"], ["v5"]]


@pytest.mark.parametrize(
    ("fault", "told", "pages"),
    [
        ({"page": 2}, TAGS, 3),
        ({"page": 2, "link": "absolute"}, TAGS, 3),
        ({"page": 2, "link": "cyclic"}, TAGS, 4),
        ({"page": 2, "link": "absent"}, TAGS[:2], 1),
        ({"page": 2, "link": "malformed"}, TAGS[:2], 1),
        ({"cap": 100}, TAGS, 2),
    ],
    ids=str,
)
def test_however_the_upstream_pages(
    listed: Listed, fault: dict[str, Any], told: list[str], pages: int
) -> None:
    """A Link in a loop is followed once."""
    listed.push(*TAGS)
    listed.chain.rule({"type": "tag-pages", **fault}, "tags")
    assert listed.tags() == told
    assert len(listed.asked()) == pages


def test_a_link_to_another_host_is_not_followed_there(listed: Listed) -> None:
    listed.push(*TAGS)
    listed.chain.rule({"type": "tag-pages", "page": 2, "link": "foreign"}, "tags")
    assert listed.get().status_code in (200, 502)
    assert listed.chain.asked("origin:second") == []


def test_a_list_without_end(always: Chain, odd: Scripted) -> None:
    """A hundred pages are read, and the exchange says that the list was truncated."""
    path = "/v2/a/endless/tags/list"
    following = itertools.count(2)
    odd.answers[path] = lambda _: Answer(
        200, {"link": f'<{path}?page={next(following)}>; rel="next"'}, b'{"tags": ["v1"]}'
    )
    assert always.get(f"/odd.test{path}").json()["tags"] == ["v1"]
    assert sum(target.startswith(path) for _, target in odd.asked) == 100
    assert "cut short after 100 pages" in json.dumps(last(always.proxy)["timeline"])


def test_a_list_of_too_many(always: Chain, odd: Scripted) -> None:
    path = "/v2/a/many/tags/list"
    tags = [f"{number:x}" for number in range(300_000)]
    first, second = (json.dumps({"tags": each}).encode() for each in (tags[:150_000], tags[150_000:]))
    odd.answers[path] = Answer(200, {"link": f"<{path}?page=2>; rel=next"}, first)
    odd.answers[f"{path}?page=2"] = Answer(200, {"link": f"<{path}?page=3>; rel=next"}, second)
    assert len(always.get(f"/odd.test{path}").json()["tags"]) == 200_000
    assert len([target for _, target in odd.asked if target.startswith(path)]) == 2
    assert "cut short after 200,000 entries" in json.dumps(last(always.proxy)["timeline"])


def test_a_list_of_pages_that_are_too_much_together(always: Chain, odd: Scripted) -> None:
    """No more than 32 MiB in all."""
    path = "/v2/a/heavy/tags/list"
    heavy = json.dumps({"tags": ["v1"], "more": "x" * 3 * MIB}).encode()
    following = itertools.count(2)
    odd.answers[path] = lambda _: Answer(200, {"link": f'<{path}?page={next(following)}>; rel="next"'}, heavy)
    assert error_of(always.get(f"/odd.test{path}"), 502)["message"].startswith("odd.test sent more than ")


@pytest.mark.parametrize("query", ["|" * 60_000, "a=1&" * 15_000])
def test_a_next_page_that_is_too_long(always: Chain, odd: Scripted, query: str) -> None:
    """The error does not claim that the upstream's name is wrong."""
    path = f"/v2/a/long-{len(set(query))}/tags/list"
    odd.answers[path] = Answer(200, {"link": f"<{path}?{query}>; rel=next"}, b'{"tags": ["v1"]}')
    message = error_of(always.get(f"/odd.test{path}"), 502)["message"]
    assert message == "odd.test sent a Link of more than 8192 characters with a page of a list"


def test_pushed_tags_are_merged(listed: Listed) -> None:
    listed.push("v1", "v3")
    listed.push("v2", "v3", "v4", to=listed.chain.proxy)
    assert listed.tags() == ["v1", "v2", "v3", "v4"]
    assert listed.get("?n=2&last=v1").json()["tags"] == ["v2", "v3"]
    listed.chain.rule({"type": "error", "status": 503}, "tags")
    assert listed.tags() == ["v1", "v2", "v3", "v4"]
    assert listed.cache() == "stale"
    alone = Listed(listed.chain)
    alone.push("v1", to=alone.chain.proxy)
    assert alone.tags() == ["v1"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"type": "not-found"}, 404, "NAME_UNKNOWN"),
        ({"type": "error", "status": 401}, 401, "UNAUTHORIZED"),
        ({"type": "error", "status": 403}, 403, "DENIED"),
        ({"type": "error", "status": 400}, 502, "UNAVAILABLE"),
        ({"type": "error", "status": 503}, 502, "UNAVAILABLE"),
        ({"type": "rate-limit"}, 429, "TOOMANYREQUESTS"),
        ({"type": "reset"}, 502, "UNAVAILABLE"),
        ({"type": "truncate", "after": 5}, 502, "UNAVAILABLE"),
    ],
    ids=str,
)
@pytest.mark.parametrize("what", ["tags", "referrers"])
def test_failures(listed: Listed, what: str, fault: dict[str, Any], status: int, code: str) -> None:
    """The list is not cached. After a 404 for referrers, clients request the fallback tag."""
    listed.push("v1")
    listed.chain.rule(fault, what)
    ask = listed.get if what == "tags" else listed.ask_referrers
    response = ask()
    error = error_of(response, status)
    assert error["code"] == code
    assert "quay.io" in error["message"]
    assert "www-authenticate" not in response.headers
    assert ("retry-after" in response.headers) is (status == 429)
    listed.chain.mend()
    assert ask().status_code == (404 if status == 404 else 200)  # which is remembered for a while
    assert len(listed.asked()) == (0 if status == 404 else 1)


@pytest.mark.parametrize("what", ["tags", "referrers"])
@pytest.mark.parametrize("fault", [{"type": "error", "status": 503}, {"type": "rate-limit"}])
def test_where_the_upstream_fails_the_list_is_stale(listed: Listed, what: str, fault: dict[str, Any]) -> None:
    """Also an empty one."""
    listed.push("v1")
    ask = listed.tags if what == "tags" else listed.referrers
    before = ask()
    assert before == (["v1"] if what == "tags" else [])
    listed.chain.rule(fault, what)
    assert ask() == before
    assert listed.cache() == "stale"


def test_without_a_list_the_tags_that_were_pulled(listed: Listed) -> None:
    listed.push("v1", "v2", "v3")
    for tag in ("v1", "v3"):
        assert listed.chain.get(f"/v2/{listed.name}/manifests/{tag}").status_code == 200
    listed.chain.rule({"type": "error", "status": 503}, "tags")
    assert listed.tags() == ["v1", "v3"]
    assert listed.cache() == "stale"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_list_that_is_refused_is_not_stale(listed: Listed, status: int) -> None:
    listed.push("v1")
    listed.tags()
    listed.chain.rule({"type": "error", "status": status}, "tags")
    assert listed.get().status_code == status


async def test_a_deleted_list_is_forgotten(
    odd: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the upstream fails after the 404 has been forgotten."""
    monkeypatch.setattr("brokenreg.proxy.cache.freshness.NEGATIVE_TTL", 0.0)
    path, route = "/v2/a/gone/tags/list", Route("odd.test", "a/gone")
    target = parse_target(path, "")
    trace = UpstreamTrace(Exchange(1, "GET", path, "", "1.1", "http", "127.0.0.1:1", target))
    async with asking({"odd.test": odd.url}) as client, Store.open(tmp_path / "data") as store:
        listings = Listings(CacheServices(client, store, 0.0))
        odd.answers[path] = Answer(200, {}, b'{"tags": ["v1"]}')
        assert await listings.tags(route, trace) == ["v1"]
        odd.answers[path] = Answer(503)
        assert await listings.tags(route, trace) == ["v1"]
        for status in (404, 503):
            odd.answers[path] = Answer(status)
            with pytest.raises(UpstreamStatusError) as refused:
                await listings.tags(route, trace)
            assert refused.value.upstream_status == status


def test_a_fresh_list_causes_no_request(kept: Listed) -> None:
    kept.push("v1")
    assert (kept.tags(), kept.cache()) == (["v1"], "miss")
    assert (kept.referrers(), kept.cache()) == ([], "miss")
    kept.push("v2")
    kept.push(manifest=image(b"signature", **about(SUBJECT, artifactType=SIGNATURE)))
    for query in ("", "?n=1", "?last=v1"):
        assert kept.get(query).status_code == 200
        assert kept.cache() == "hit"
    assert (kept.referrers(), kept.cache()) == ([], "hit")
    assert kept.asked() == [200, 200]


def test_a_failed_upstream_is_not_contacted_for_a_while(kept: Listed) -> None:
    kept.push("v1")
    assert kept.chain.get(f"/v2/{kept.name}/manifests/v1").status_code == 200
    kept.chain.rule({"type": "error", "status": 503}, "tags")
    for _ in range(3):
        assert (kept.tags(), kept.cache()) == (["v1"], "stale")
    assert kept.asked() == [503]


@pytest.mark.parametrize("query", ["", f"?artifactType={SBOM}"])
def test_long_lists_of_referrers_come_in_pages_through_the_proxy(listed: Listed, query: str) -> None:
    """The upstream has 6 MB of them in two pages, and one more was pushed."""
    bodies = [
        image(b"%d" % number, **about(SUBJECT, artifactType=SBOM, annotations={"a": "x" * 1_500_000}))
        for number in range(5)
    ]
    for body in bodies[:4]:
        listed.push(manifest=body)
    for body in bodies[3:]:
        listed.push(manifest=body, to=listed.chain.proxy)
    found, path = [], f"{listed.host}/v2/{listed.name}/referrers/{digest_of(SUBJECT)}{query}"
    while path:
        page = listed.chain.get(path)
        assert page.status_code == 200, page.text[:500]
        assert len(page.content) <= 4 * MIB
        found.append([each["digest"] for each in page.json()["manifests"]])
        path = next_page(page) or ""
    assert [len(page) for page in found] == [2, 2, 1]
    assert [digest for page in found for digest in page] == sorted(map(digest_of, bodies))


def test_kept_lists_are_bounded_and_the_least_read_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokenreg.proxy.cache.listings.MAX_LISTS", 3)
    monkeypatch.setattr("brokenreg.proxy.cache.listings.MAX_LIST_BYTES", 100)
    dropped: list[Key] = []
    lists = ListCache(dropped.append)
    keys = [(Route("quay.io", f"org/{number}"), "tags/list") for number in range(5)]

    def dropped_for(key: Key, entries: list[object], size: int) -> list[Key]:
        dropped.clear()
        lists.store(key, entries, size)
        return list(dropped)

    for key in keys[:3]:
        assert dropped_for(key, [key], 10) == []
    assert lists[keys[0]] == ([keys[0]], 10)
    assert dropped_for(keys[3], [], 10) == [keys[1]]
    assert dropped_for(keys[2], [2], 75) == []  # in place of its own 10
    assert dropped_for(keys[4], [], 20) == [keys[0], keys[3]]
    assert dropped_for(keys[4], [], 101) == [keys[4]]
    assert list(lists) == [keys[2]]
    assert dropped_for(keys[1], [1], 100) == [keys[2]]


def test_concurrent_requests_share_one_request_upstream(listed: Listed) -> None:
    listed.push("v1")
    listed.chain.rule({"type": "hold"}, "tags", times=1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        lists = [pool.submit(listed.tags) for _ in range(CLIENTS)]
        until_in_flight(listed.chain.upstream, 1)
        until_in_flight(listed.chain.proxy, CLIENTS)
        assert httpx.post(f"{listed.chain.upstream.control}/v1/resume").is_success
        assert [each.result() for each in lists] == [["v1"]] * CLIENTS
    assert listed.asked() == [200]
    found = exchanges(listed.chain.proxy, f"repository:{listed.name}")
    assert sorted(each["cache"] for each in found) == ["joined"] * (CLIENTS - 1) + ["miss"]


def test_a_real_registry(tmp_path: Path) -> None:
    """It does not support referrers, so that clients request the fallback tag."""
    with plain(tmp_path / "upstream") as upstream:
        for tag in TAGS:
            upstream.push("org/listed", tag, image(b"{}"), b"{}")
        with brokenreg(tmp_path / "proxy", "--upstream", f"quay.io={upstream.url}") as proxy:
            base = f"{proxy.url}/v2/org/listed"
            assert httpx.get(f"{base}/tags/list?n=2").json()["tags"] == TAGS[:2]
            assert httpx.get(f"{base}/tags/list").json()["tags"] == TAGS
            assert httpx.get(f"{base}/referrers/{digest_of(image(b'{}'))}").status_code == 404
            assert error_of(httpx.get(f"{proxy.url}/v2/org/none/tags/list"), 404)["code"] == "NAME_UNKNOWN"
        assert upstream.count("GET", "/v2/org/listed/tags/list") == 1
        assert upstream.count("GET", "/v2/org/none/tags/list") == 1


@pytest.mark.parametrize("form", ["usual", "paged"])
def test_referrers(listed: Listed, form: str) -> None:
    subject = listed.push("v1")
    kinds = (SIGNATURE, SBOM, SIGNATURE)
    pushed = [
        listed.push(manifest=image(b"%d" % number, **about(subject, artifactType=kind)))
        for number, kind in enumerate(kinds)
    ]
    if form == "paged":
        listed.chain.rule({"type": "referrers", "form": "paged"}, "referrers")
    digests = [digest_of(each) for each in pushed]
    assert sorted(listed.referrers()) == sorted(digests)
    assert sorted(listed.referrers(f"?artifactType={SIGNATURE}")) == sorted(digests[::2])
    response = listed.ask_referrers(f"?artifactType={SBOM}")
    assert response.headers["oci-filters-applied"] == "artifactType"
    (only,) = response.json()["manifests"]
    assert only == {
        "mediaType": OCI_MANIFEST,
        "digest": digests[1],
        "size": len(pushed[1]),
        "artifactType": SBOM,
    }


def test_pushed_referrers_are_merged(listed: Listed) -> None:
    subject = listed.push("v1")
    there, both, here = (image(b"%d" % number, **about(subject, artifactType=SBOM)) for number in range(3))
    for manifest in (there, both):
        listed.push(manifest=manifest)
    for manifest in (both, here):
        listed.push(manifest=manifest, to=listed.chain.proxy)
    assert sorted(listed.referrers()) == sorted(map(digest_of, (there, both, here)))
    listed.chain.rule({"type": "reset"}, "referrers")
    fresh = Listed(listed.chain)
    fresh.push("v1")
    fresh.push(manifest=here, to=fresh.chain.proxy)
    assert fresh.referrers() == [digest_of(here)]


def test_referrers_of_pushed_manifests_are_not_requested_upstream(listed: Listed) -> None:
    listed.push("v1", to=listed.chain.proxy)
    assert listed.referrers() == []
    assert listed.asked() == []


def test_offline(always: Chain, tmp_path: Path) -> None:
    """Only cached content is listed."""
    always.mend()
    with brokenreg(tmp_path / "proxy", "--upstream", f"quay.io={always.upstream.url}") as proxy:
        listed = Listed(Chain(always.upstream, proxy))
        listed.push("v1", "v2")
        signature = image(b"signature", **about(SUBJECT, artifactType=SIGNATURE))
        listed.push(manifest=signature)
        for reference in ("v1", digest_of(signature)):
            assert listed.chain.get(f"/v2/{listed.name}/manifests/{reference}").status_code == 200
        proxy.stop()
    with brokenreg(tmp_path / "proxy", "--offline") as proxy:
        listed.chain = Chain(always.upstream, proxy)
        assert (listed.tags(), listed.cache()) == (["v1"], "hit")
        assert (listed.referrers(), listed.cache()) == ([digest_of(signature)], "hit")
        other = Listed(listed.chain)
        assert "brokenreg is offline (--offline)" in error_of(other.get(), 404)["message"]
        assert other.referrers() == []
        assert listed.asked() == []


def test_the_catalog_contains_only_pushed_repositories(listed: Listed) -> None:
    """Cached repositories are not included, and the catalogs of upstreams are not requested."""
    listed.push("v1")
    assert listed.chain.get(f"/v2/{listed.name}/manifests/v1").status_code == 200
    names = [Listed(listed.chain, f"catalog/{letter}", host="") for letter in "abc"]
    for each in names:
        each.push("v1", to=listed.chain.proxy)
    pushed = [each.name for each in names]
    before = len(listed.chain.asked(""))
    everything = listed.chain.get("/v2/_catalog").json()["repositories"]
    assert [name for name in everything if name.startswith("catalog/")] == pushed
    assert listed.name not in everything
    page = listed.chain.get("/v2/_catalog?n=2&last=catalog")
    assert page.json()["repositories"] == pushed[:2]
    rest = listed.chain.get(next_page(page) or "").json()["repositories"]
    assert rest[0] == pushed[2]
    assert len(listed.chain.asked("")) == before


DIGEST = digest_of(b"it")
NO_LISTS = {
    "a page": b"<!doctype html>",
    "nothing": b"",
    "a list": b'["v1"]',
    "no member": b"{}",
    "a text": b'{"tags": "v1", "manifests": "v1"}',
    "a depth": b'{"tags":' + b"[" * 100_000,
    "half of one": b'{"tags": ["v1"], "manifests": [',
    "too much": b'{"tags": ["' + b"x" * 5_000_000 + b'"]}',
}


@pytest.mark.parametrize("body", NO_LISTS.values(), ids=NO_LISTS.keys())
@pytest.mark.parametrize("what", ["tags/list", f"referrers/{DIGEST}"], ids=["tags", "referrers"])
def test_invalid_lists(always: Chain, odd: Scripted, what: str, body: bytes) -> None:
    path = f"/v2/no/list-{next(_names)}/{what}"
    odd.answers[path] = Answer(200, {"content-type": "application/json"}, body)
    error = error_of(always.get(f"/odd.test{path}"), 502)
    assert error["code"] == "UNAVAILABLE"
    assert error["message"].startswith("odd.test sent ")


def test_invalid_tags_are_omitted(always: Chain, odd: Scripted) -> None:
    path = "/v2/odd/tags/tags/list"
    tags = ["v1", "../../etc/passwd", "", "\ud800", "a b", 7, None, ["v1"], "x" * 129, "v2"]
    odd.answers[path] = Answer(200, {}, json.dumps({"tags": tags}).encode())
    assert always.get(f"/odd.test{path}").json()["tags"] == ["v1", "v2"]
    odd.answers[path] = Answer(200, {}, b'{"name": "odd/tags", "tags": null}')
    assert always.get(f"/odd.test{path}").json()["tags"] == []


def test_invalid_descriptors_are_omitted(always: Chain, odd: Scripted) -> None:
    path = f"/v2/odd/descriptors/referrers/{DIGEST}"
    good = {"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 2, "annotations": {"by": "Zoë"}, "more": 1}
    manifests = [good, 7, None, {}, *({"digest": each} for each in ("v1", [], {}, None, 7, "sha256:x"))]
    odd.answers[path] = Answer(200, {}, json.dumps({"manifests": manifests}).encode())
    assert always.get(f"/odd.test{path}").json()["manifests"] == [good]
    surrogate, nan = ({**good, "annotations": {"by": value}} for value in ("\ud800", float("nan")))
    for body in (json.dumps({"manifests": [each]}) for each in (surrogate, nan)):
        for text in (body, body.replace("NaN", "1e999")):
            odd.answers[path] = Answer(200, {}, text.encode())
            message = error_of(always.get(f"/odd.test{path}"), 502)["message"]
            assert message == "odd.test sent an invalid list"
