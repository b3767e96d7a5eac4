"""Faults of lists, as they are on the wire."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from urllib.parse import urljoin

import httpx
import pytest

from tests.process import Brokenreg, brokenreg
from tests.registry.pushing import OCI_INDEX, error_of, follow, image, next_page, push_manifest


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("tls") / "data", "--tls", "self-signed") as running:
        yield running


@pytest.fixture(params=["plain", "tls", "h2"])
async def any_http(
    request: pytest.FixtureRequest, registry: Brokenreg, tls: Brokenreg
) -> AsyncIterator[httpx.AsyncClient]:
    """A client over each protocol, of a registry with some tags."""
    running = registry if request.param == "plain" else tls
    async with httpx.AsyncClient(
        base_url=running.url, verify=False, http2=request.param == "h2", timeout=30
    ) as client:
        for number in range(1, 6):
            await push_manifest(client, "lists/app", f"v{number}", b"{}")
        yield client


TAGS = ["v1", "v2", "v3", "v4", "v5"]


def tags_of(fault: str) -> str:
    return f"/v2/broken/with/{fault}/lists/app/tags/list"


async def test_pages_though_nobody_asked(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_page-2")
    assert await follow(any_http, url, "tags") == [TAGS[:2], TAGS[2:4], TAGS[4:]]
    assert await follow(any_http, f"{url}?n=100", "tags") == [TAGS[:2], TAGS[2:4], TAGS[4:]]
    assert await follow(any_http, f"{url}?n=1&last=v3", "tags") == [["v4"], ["v5"]]


async def test_n_beyond_the_cap_is_refused(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_cap-3")
    assert error_of(await any_http.get(url, params={"n": 4}), 400)["code"] == "PAGINATION_NUMBER_INVALID"
    assert (await any_http.get(url, params={"n": 3})).json()["tags"] == TAGS[:3]
    assert (await any_http.get(url)).json()["tags"] == TAGS


async def test_thousands_of_tags(any_http: httpx.AsyncClient) -> None:
    url = tags_of("tag-pages_invented-9000")
    answer = await any_http.get(url)
    tags = answer.json()["tags"]
    assert (len(tags), tags[0], tags[8999], tags[-1]) == (9005, "invented-000001", "invented-009000", "v5")
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
    made_up = await http.get("/v2/broken/with/tag-pages_invented-10/broken/random/tags/list")
    assert len(made_up.json()["tags"]) == 10


async def with_referrers(http: httpx.AsyncClient) -> str:
    """A manifest with two referrers; its digest."""
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
