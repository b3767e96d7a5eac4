"""Blobs: GET and HEAD with ranges and conditions, DELETE, and which repositories serve which blobs."""

from __future__ import annotations

import random

import httpx
import pytest

from tests.registry.pushing import MIB, digest_of, error_of, push_blob

CONTENT = random.Random("blobs").randbytes(300_000)
SIZE = len(CONTENT)
URL = f"/v2/blobs/content/blobs/{digest_of(CONTENT)}"


@pytest.fixture(autouse=True)
async def _pushed(http: httpx.AsyncClient) -> None:
    if (await http.head(URL)).status_code == 404:
        await push_blob(http, "blobs/content", CONTENT)


async def test_get_and_head(http: httpx.AsyncClient) -> None:
    pulled = await http.get(URL)
    assert (pulled.status_code, pulled.content) == (200, CONTENT)
    assert pulled.headers["docker-content-digest"] == digest_of(CONTENT)
    assert pulled.headers["docker-distribution-api-version"] == "registry/2.0"
    assert pulled.headers["content-type"] == "application/octet-stream"
    assert pulled.headers["accept-ranges"] == "bytes"
    assert pulled.headers["etag"] == f'"{digest_of(CONTENT)}"'
    assert pulled.headers["x-content-type-options"] == "nosniff"
    assert pulled.headers["content-security-policy"] == "sandbox"
    head = await http.head(URL)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "docker-content-digest", "accept-ranges", "etag"):
        assert head.headers[name] == pulled.headers[name]


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 20 * MIB])
async def test_blobs_of_every_size(http: httpx.AsyncClient, size: int) -> None:
    """Size 0 has no body, and large ones are sent in several parts."""
    content = random.Random(size).randbytes(size)
    digest = await push_blob(http, "blobs/sizes", content)
    pulled = await http.get(f"/v2/blobs/sizes/blobs/{digest}")
    assert (pulled.status_code, int(pulled.headers["content-length"])) == (200, size)
    assert pulled.content == content


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=0-", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=100-99999999", 100, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-5000", SIZE - 5000, SIZE - 1),
        ("bytes=-99999999", 0, SIZE - 1),
        ("Bytes=1-2", 1, 2),
    ],
)
async def test_a_range(http: httpx.AsyncClient, asked: str, first: int, last: int) -> None:
    response = await http.get(URL, headers={"range": asked})
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.content == CONTENT[first : last + 1]


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
async def test_a_range_outside(http: httpx.AsyncClient, asked: str) -> None:
    response = await http.get(URL, headers={"range": asked})
    assert error_of(response, 416)["code"] == "RANGE_INVALID"
    assert response.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=x-y", "bytes", "bytes=-"])
async def test_other_ranges_are_ignored(http: httpx.AsyncClient, asked: str) -> None:
    response = await http.get(URL, headers={"range": asked})
    assert (response.status_code, response.content) == (200, CONTENT)


async def test_head_ignores_ranges(http: httpx.AsyncClient) -> None:
    response = await http.head(URL, headers={"range": "bytes=0-9"})
    assert (response.status_code, response.headers["content-length"]) == (200, str(SIZE))


async def test_if_range(http: httpx.AsyncClient) -> None:
    """The range is used only if the content is still the same."""
    for tag, status, content in [
        (f'"{digest_of(CONTENT)}"', 206, CONTENT[5:10]),
        ('"sha256:other"', 200, CONTENT),
        (f'W/"{digest_of(CONTENT)}"', 200, CONTENT),
    ]:
        response = await http.get(URL, headers={"range": "bytes=5-9", "if-range": tag})
        assert (response.status_code, response.content) == (status, content)


async def test_if_none_match(http: httpx.AsyncClient) -> None:
    tag = f'"{digest_of(CONTENT)}"'
    for method in ("GET", "HEAD"):
        response = await http.request(method, URL, headers={"if-none-match": tag, "range": "bytes=0-9"})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    other = await http.get(URL, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, CONTENT)


async def test_an_unknown_blob(http: httpx.AsyncClient) -> None:
    unknown = digest_of(b"never pushed")
    error = error_of(await http.get(f"/v2/blobs/content/blobs/{unknown}"), 404)
    assert (error["code"], error["detail"]) == ("BLOB_UNKNOWN", {"digest": unknown})
    head = await http.head(f"/v2/blobs/content/blobs/{unknown}")
    assert (head.status_code, head.content) == (404, b"")


async def test_a_repository_serves_only_its_own_blobs(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "blobs/mine", b"mine")
    await push_blob(http, "blobs/theirs", b"theirs")
    for name in ("blobs/theirs", "blobs", "blobs/mine/deeper", "broken/in/other/blobs/mine"):
        assert (await http.get(f"/v2/{name}/blobs/{digest}")).status_code == 404


async def test_delete(http: httpx.AsyncClient) -> None:
    """Only the link of one repository is deleted, and the blob can be pushed again."""
    digest = await push_blob(http, "blobs/delete", b"delete")
    await push_blob(http, "blobs/keep", b"delete")
    url = f"/v2/blobs/delete/blobs/{digest}"
    assert (await http.delete(url)).status_code == 202
    assert error_of(await http.get(url), 404)["code"] == "BLOB_UNKNOWN"
    assert error_of(await http.delete(url), 404)["code"] == "BLOB_UNKNOWN"
    assert (await http.get(f"/v2/blobs/keep/blobs/{digest}")).content == b"delete"
    await push_blob(http, "blobs/delete", b"delete")
    assert (await http.get(url)).content == b"delete"
