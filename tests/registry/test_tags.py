"""Lists of tags: complete or in pages, in the order of their bytes."""

from __future__ import annotations

import httpx
import pytest

from tests.registry.pushing import error_of, follow, image, next_page, push_manifest

TAGS = ["1", "1.0", "10", "2", "A", "_x", "a", "b", "latest", "v-1"]
URL = "/v2/tags/many/tags/list"


@pytest.fixture(autouse=True)
async def _pushed(http: httpx.AsyncClient) -> None:
    if (await http.get(URL)).status_code == 404:
        for number, tag in enumerate(reversed(TAGS)):
            await push_manifest(http, "tags/many", tag, image(b"%d" % (number % 3)))


async def test_all(http: httpx.AsyncClient) -> None:
    response = await http.get(URL)
    assert response.status_code == 200
    assert response.json() == {"name": "tags/many", "tags": TAGS}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    assert "link" not in response.headers
    head = await http.head(URL)
    assert (head.status_code, head.headers["content-length"]) == (200, response.headers["content-length"])


@pytest.mark.parametrize("n", [1, 3, 5, 9, 10, 11, 10**17])
async def test_page_by_page_to_the_end(http: httpx.AsyncClient, n: int) -> None:
    pages = await follow(http, f"{URL}?n={n}", "tags")
    assert [tag for page in pages for tag in page] == TAGS
    assert all(len(page) == n for page in pages[:-1])
    assert pages[-1], "the last page is empty; the one before it should have had no Link"


async def test_the_link_can_be_followed_as_it_stands(http: httpx.AsyncClient) -> None:
    assert next_page(await http.get(f"{URL}?n=2")) == f"{URL}?n=2&last=1.0"


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("last=b", ["latest", "v-1"]),
        ("last=b&n=1", ["latest"]),
        ("last=aa", ["b", "latest", "v-1"]),  # there is no such tag; those after it are wanted
        ("last=v-1", []),
        ("last=zzz&n=5", []),
        ("last=", TAGS),
        ("last=sp%20ace%2F%C3%A4&n=1", ["v-1"]),
    ],
)
async def test_last(http: httpx.AsyncClient, query: str, tags: list[str]) -> None:
    response = await http.get(f"{URL}?{query}")
    assert response.json()["tags"] == tags


@pytest.mark.parametrize("query", ["n=", "n=&last=", "last=", "n"])
async def test_an_empty_parameter_is_none(http: httpx.AsyncClient, query: str) -> None:
    everything = await http.get(URL)
    response = await http.get(f"{URL}?{query}")
    assert (response.status_code, response.json()) == (200, everything.json())
    assert "link" not in response.headers


async def test_n_of_zero_is_empty_and_has_no_link(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{URL}?n=0")
    assert (response.status_code, response.json()["tags"]) == (200, [])
    assert "link" not in response.headers


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "+3", "1e3", "9" * 30, "%D9%A3"])
async def test_a_bad_n(http: httpx.AsyncClient, n: str) -> None:
    error = error_of(await http.get(f"{URL}?n={n}"), 400)
    assert error["code"] == "PAGINATION_NUMBER_INVALID"


async def test_a_repository_that_was_never_pushed_to(http: httpx.AsyncClient) -> None:
    assert error_of(await http.get("/v2/tags/never/tags/list"), 404)["code"] == "NAME_UNKNOWN"


async def test_a_repository_without_tags(http: httpx.AsyncClient) -> None:
    await push_manifest(http, "tags/none", "only", image(b"none"))
    assert (await http.delete("/v2/tags/none/manifests/only")).status_code == 202
    response = await http.get("/v2/tags/none/tags/list")
    assert (response.status_code, response.json()) == (200, {"name": "tags/none", "tags": []})


async def test_a_namespace_keeps_its_prefix(http: httpx.AsyncClient) -> None:
    """In the name and in the Link. Tags of the same repository in other namespaces are not listed."""
    name = "broken/in/tags-ns/tags/many"
    for tag in ("x", "y"):
        await push_manifest(http, name, tag, image(b"namespace"))
    first = await http.get(f"/v2/{name}/tags/list?n=1")
    assert first.json() == {"name": name, "tags": ["x"]}
    assert next_page(first) == f"/v2/{name}/tags/list?n=1&last=x"
    assert await follow(http, f"/v2/{name}/tags/list?n=1", "tags") == [["x"], ["y"]]
    assert (await http.get(URL)).json()["tags"] == TAGS
