"""Listing faults on the wire."""

from __future__ import annotations

import re
import uuid
from itertools import chain
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.raw_http import ask
from tests.registry.pushing import (
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    error_of,
    follow,
    image,
    next_page,
    push_manifest,
)
from tests.server import Brokenreg, brokenreg


@pytest.fixture
async def any_http(any_http: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a registry with some tags, over each protocol."""
    for number in range(1, 6):
        await push_manifest(any_http, "lists/app", f"v{number}", b"{}")
    return any_http


TAGS = ["v1", "v2", "v3", "v4", "v5"]


async def with_tags(http: httpx.AsyncClient) -> str:
    """Create a new repository with these tags; path rules have no counters for it."""
    name = f"lists/{uuid.uuid4().hex}"
    for tag in TAGS:
        await push_manifest(http, name, tag, b"{}")
    return name


def tags_of(fault: str) -> str:
    return f"/v2/broken/with/{fault}/lists/app/tags/list"


async def test_pages_though_nobody_asked(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_page-2")
    assert await follow(any_http, url, "tags") == [TAGS[:2], TAGS[2:4], TAGS[4:]]
    assert await follow(any_http, f"{url}?n=100", "tags") == [TAGS[:2], TAGS[2:4], TAGS[4:]]
    assert await follow(any_http, f"{url}?n=1&last=v3", "tags") == [["v4"], ["v5"]]
    assert await follow(any_http, f"{url}?n=&last=", "tags") == [TAGS[:2], TAGS[2:4], TAGS[4:]]


async def test_n_beyond_the_cap_is_refused(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_cap-3")
    assert error_of(await any_http.get(url, params={"n": 4}), 400)["code"] == "PAGINATION_NUMBER_INVALID"
    assert (await any_http.get(url, params={"n": 3})).json()["tags"] == TAGS[:3]
    assert (await any_http.get(url)).json()["tags"] == TAGS


async def test_thousands_of_tags(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_invented-9000")
    answer = await any_http.get(url)
    tags = answer.json()["tags"]
    first_and_last = (tags[0], tags[8999], tags[-1])
    assert (len(tags), first_and_last) == (9005, ("invented-000001", "invented-009000", "v5"))
    pages = await follow(any_http, f"{url}?n=1000", "tags")
    assert [len(page) for page in pages] == [*[1000] * 9, 5]
    assert list(chain(*pages)) == tags


async def test_a_link_that_is_absent_or_malformed(any_http: httpx.AsyncClient) -> None:
    answer = await any_http.get(tags_of("tag-pages_page-2_link-absent"))
    assert answer.json()["tags"] == TAGS[:2]
    assert "link" not in answer.headers
    answer = await any_http.get(tags_of("tag-pages_page-2_link-malformed"))
    assert answer.json()["tags"] == TAGS[:2]
    url = tags_of("tag-pages_page-2_link-malformed")
    assert answer.headers["link"] == f"<{url}?n=2&last=v2; rel=next"


async def test_a_link_that_never_ends(any_http: httpx.AsyncClient) -> None:
    url: str | None = tags_of("tag-pages_page-2_link-cyclic")
    seen = []
    for _ in range(7):
        assert url is not None
        answer = await any_http.get(url)
        seen += answer.json()["tags"]
        url = next_page(answer)
    assert seen == [*TAGS, *TAGS, "v1", "v2"]
    assert next_page(await any_http.get(tags_of("tag-pages_link-cyclic"))) is not None


async def test_a_link_with_host(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_page-3_link-absolute")
    following = next_page(await any_http.get(url))
    assert following == urljoin(str(any_http.base_url), f"{url}?n=3&last=v3")
    assert (await any_http.get(following)).json()["tags"] == TAGS[3:]


async def test_what_was_never_pushed(http: httpx.AsyncClient) -> None:
    url = "/v2/broken/with/tag-pages_invented-10/lists/nothing/tags/list"
    assert error_of(await http.get(url), 404)["code"] == "NAME_UNKNOWN"
    fabricated = await http.get("/v2/broken/with/tag-pages_invented-10/broken/random/tags/list")
    assert len(fabricated.json()["tags"]) == 10


async def with_referrers(http: httpx.AsyncClient) -> str:
    """Push a manifest with two referrers, and return its digest."""
    body = image(b"{}")
    digest = await push_manifest(http, "lists/signed", "v1", body)
    for kind in ("a", "b"):
        subject = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": len(body),
        }
        signature = image(b"{}", subject=subject, artifactType=f"application/x.{kind}")
        await push_manifest(http, "lists/signed", f"s-{kind}", signature)
    return digest


def referrers_of(form: str, digest: str) -> str:
    return f"/v2/broken/with/referrers_form-{form}/lists/signed/referrers/{digest}"


async def test_referrers_that_are_refused(any_http: httpx.AsyncClient) -> None:
    digest = await with_referrers(any_http)
    error_of(await any_http.get(referrers_of("not-found", digest)), 404)
    error_of(await any_http.get(referrers_of("bad-request", digest)), 400)


@pytest.mark.parametrize(
    ("form", "media_type", "body"),
    [
        ("html", "text/html", rb"<!doctype html>.*"),
        ("empty", OCI_INDEX, b""),
        ("none", OCI_INDEX, rb'\{"schemaVersion":2,.*"manifests":\[\]\}'),
        ("wrong-type", "application/json", rb'\{"referrers":\[\]\}'),
    ],
)
async def test_referrers_that_are_no_index(
    any_http: httpx.AsyncClient, form: str, media_type: str, body: bytes
) -> None:
    digest = await with_referrers(any_http)
    answer = await any_http.get(referrers_of(form, digest))
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert re.fullmatch(body, answer.content, re.DOTALL)
    assert answer.headers["content-length"] == str(len(answer.content))


async def test_referrers_in_pages(any_http: httpx.AsyncClient) -> None:
    digest = await with_referrers(any_http)
    pages = await follow(any_http, referrers_of("paged", digest), "manifests")
    honest = (await any_http.get(f"/v2/lists/signed/referrers/{digest}")).json()["manifests"]
    assert [len(page) for page in pages] == [1, 1]
    assert list(chain(*pages)) == honest
    one = await any_http.get(referrers_of("paged", digest), params={"artifactType": "application/x.b"})
    assert one.headers["oci-filters-applied"] == "artifactType"
    assert ([each["artifactType"] for each in one.json()["manifests"]], "link" in one.headers) == (
        ["application/x.b"],
        False,
    )


async def test_one_referrer_a_page_of_a_list_that_has_pages(http: httpx.AsyncClient) -> None:
    """No referrer is lost between the pages of the fault and those of the registry."""
    subject = digest_of(b"large")
    name = f"lists/{uuid.uuid4().hex}"
    for letter in "abc":
        large = image(
            letter.encode(), subject=descriptor(b"large", OCI_MANIFEST), annotations={"a": "x" * 1_900_000}
        )
        await push_manifest(http, name, letter, large)
    url = f"/v2/broken/with/referrers_form-paged/{name}/referrers/{subject}"
    assert [len(page) for page in await follow(http, url, "manifests")] == [1, 1, 1]


async def test_none_where_there_are_some(any_http: httpx.AsyncClient) -> None:
    digest = await with_referrers(any_http)
    url = referrers_of("none", digest)
    answer = await any_http.get(url, params={"artifactType": "application/x.a"})
    assert (answer.json()["manifests"], answer.headers["oci-filters-applied"]) == ([], "artifactType")


@pytest.mark.parametrize("form", ["none", "paged"])
async def test_no_effect_without_referrers(http: httpx.AsyncClient, form: str) -> None:
    digest = await with_referrers(http)
    url = f"/v2/broken/with/referrers_form-{form}_times-1/lists/signed/referrers"
    honest = (await http.get(f"/v2/lists/signed/referrers/{digest}")).json()["manifests"]
    assert (await http.get(f"{url}/{digest_of(b'nobody')}")).json()["manifests"] == []
    counts = [len((await http.get(f"{url}/{digest}")).json()["manifests"]) for _ in range(2)]
    assert counts == [1 if form == "paged" else 0, len(honest)]


async def test_no_effect_on_a_list_that_stays_the_same(any_http: httpx.AsyncClient) -> None:
    url = f"/v2/broken/with/tag-pages_page-2_times-1/{await with_tags(any_http)}/tags/list"
    assert (await any_http.get(f"{url}?n=1")).json()["tags"] == TAGS[:1]
    pages = [(await any_http.get(url)).json()["tags"] for _ in range(2)]
    assert pages == [TAGS[:2], TAGS]


@pytest.mark.parametrize("n", ["-1", "x", "%C2%B2", "1e3", "9" * 5000], ids=lambda n: n[:8])
async def test_n_that_is_no_number_is_refused_as_ever(http: httpx.AsyncClient, n: str) -> None:
    name = await with_tags(http)
    for fault in ("tag-pages_page-2", "tag-pages_cap-3", "tag-pages_invented-9"):
        answer = await http.get(f"/v2/broken/with/{fault}/{name}/tags/list?n={n}")
        assert error_of(answer, 400)["code"] == "PAGINATION_NUMBER_INVALID"


async def test_a_page_that_is_no_number_is_the_first(http: httpx.AsyncClient) -> None:
    digest = await with_referrers(http)
    first = (await http.get(referrers_of("paged", digest))).content
    for page in ("%C2%B2", "-1", "0", "9" * 5000):
        assert (await http.get(f"{referrers_of('paged', digest)}?page={page}")).content == first


async def test_most_tags_do_not_stop_others(http: httpx.AsyncClient) -> None:
    name = await with_tags(http)
    url = f"/v2/broken/with/tag-pages_invented-100000_page-10/{name}/tags/list"
    assert (await http.get(f"{url}?last=invented-099995")).json()["tags"] == [
        *(f"invented-{number:06}" for number in range(99996, 100_001)),
        *TAGS,
    ]


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("outer", ["tag-pages_page-2", "referrers_form-paged", "referrers_form-none"])
def test_an_end_that_a_fault_inside_makes_arrives(registry: Brokenreg, outer: str, protocol: str) -> None:
    """The client gets nine bytes of the original list, and then the end that truncate makes."""
    with httpx.Client(base_url=registry.url) as http:
        body = image(b"{}")
        pushed = http.put("/v2/lists/cut/manifests/v1", content=body, headers={"content-type": OCI_MANIFEST})
        digest = pushed.headers["docker-content-digest"]
    endpoint, what = ("tags", "tags/list") if "tag" in outer else ("referrers", f"referrers/{digest}")
    inner = f"truncate_after-9_end-rst_endpoint-{endpoint}"
    honest = ask(registry, f"/v2/lists/cut/{what}")
    answer = ask(registry, f"/v2/broken/with/{outer}/broken/with/{inner}/lists/cut/{what}", protocol=protocol)
    assert answer.status == 200
    assert answer.body == honest.body[:9]
    assert not answer.is_whole
    assert answer.ended == ("rst" if protocol == "http/1.1" else "rst-stream")


async def test_a_list_that_a_fault_inside_has_spoiled_passes(http: httpx.AsyncClient) -> None:
    name = await with_tags(http)
    url = f"/v2/broken/with/tag-pages_page-2/broken/with/corrupt_offset-0_endpoint-tags/{name}/tags/list"
    answer = await http.get(url)
    assert answer.status_code == 200
    assert answer.content.endswith(b'"tags":["v1","v2","v3","v4","v5"]}')


async def test_a_login_challenge_passes(tmp_path: Path) -> None:
    options = ("--auth", "basic", "--auth-user", "casey:secret")
    with brokenreg(tmp_path / "data", *options) as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            for url in (tags_of("tag-pages_page-2"), referrers_of("paged", digest_of(b"x"))):
                refused = await http.get(url)
                assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
                assert refused.headers["www-authenticate"].startswith("Basic ")


async def test_a_link_to_the_second_origin(any_http: httpx.AsyncClient) -> None:
    pages = []
    url: str | None = tags_of("tag-pages_page-2_link-foreign")
    while url is not None:
        answer = await any_http.get(url)
        assert answer.status_code == 200
        pages.append(answer.json()["tags"])
        url = next_page(answer)
        if url is not None:
            assert httpx.URL(url).host == any_http.base_url.host
            assert httpx.URL(url).port != any_http.base_url.port
    assert pages == [TAGS[:2], TAGS[2:4], TAGS[4:]]


async def test_referrers_that_lead_to_a_page_of_the_second_origin(any_http: httpx.AsyncClient) -> None:
    digest = await with_referrers(any_http)
    answer = await any_http.get(referrers_of("redirect", digest))
    assert (answer.status_code, answer.content) == (307, b"")
    assert httpx.URL(answer.headers["location"]).port != any_http.base_url.port
    page = await any_http.get(answer.headers["location"])
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.content.lower().startswith(b"<!doctype html>")


async def test_a_page_that_ecr_refuses(any_http: httpx.AsyncClient) -> None:
    url = f"{tags_of('tag-pages_cap-1000_refusal-ecr')}?n="
    error = error_of(await any_http.get(f"{url}1001"), 405)
    assert error["code"] == "UNSUPPORTED"
    assert "maxResults" in error["message"]
    assert (await any_http.get(f"{url}1000")).json()["tags"] == TAGS
