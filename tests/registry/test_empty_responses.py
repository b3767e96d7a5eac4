"""Responses without a body: their framing over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.registry.pushing import OCI_MANIFEST, digest_of, image, push_blob, push_manifest
from tests.server import Brokenreg

MANIFEST = image(b"empty responses")


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
async def any_http(registry: Brokenreg, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    is_old = request.param == "HTTP/1.1"
    async with httpx.AsyncClient(base_url=registry.url, http1=is_old, http2=not is_old) as client:
        yield client


def is_empty(response: httpx.Response, status: int) -> httpx.Response:
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers.get("content-length") == "0"
    assert "content-type" not in response.headers
    assert "transfer-encoding" not in response.headers
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    return response


async def test_an_upload(any_http: httpx.AsyncClient) -> None:
    url = is_empty(await any_http.post("/v2/empty/upload/blobs/uploads/"), 202).headers["location"]
    is_empty(await any_http.patch(url, content=b"abc"), 202)
    is_empty(await any_http.get(url), 204)
    is_empty(await any_http.put(url, params={"digest": digest_of(b"abc")}), 201)


async def test_a_cancelled_upload(any_http: httpx.AsyncClient) -> None:
    url = (await any_http.post("/v2/empty/cancel/blobs/uploads/")).headers["location"]
    is_empty(await any_http.delete(url), 204)


async def test_an_upload_in_one_request_and_a_mount(any_http: httpx.AsyncClient) -> None:
    digest = digest_of(b"whole")
    url = "/v2/empty/whole/blobs/uploads/"
    is_empty(await any_http.post(url, params={"digest": digest}, content=b"whole"), 201)
    is_empty(await any_http.post("/v2/empty/mount/blobs/uploads/", params={"mount": digest}), 201)


async def test_a_manifest_and_deletions(any_http: httpx.AsyncClient) -> None:
    name = "empty/manifest"
    headers = {"content-type": OCI_MANIFEST}
    is_empty(await any_http.put(f"/v2/{name}/manifests/v1", content=MANIFEST, headers=headers), 201)
    is_empty(await any_http.delete(f"/v2/{name}/manifests/v1"), 202)
    is_empty(await any_http.delete(f"/v2/{name}/manifests/{digest_of(MANIFEST)}"), 202)
    digest = await push_blob(any_http, name, b"blob")
    is_empty(await any_http.delete(f"/v2/{name}/blobs/{digest}"), 202)


async def test_not_modified_has_neither_length_nor_type(any_http: httpx.AsyncClient) -> None:
    blob = await push_blob(any_http, "empty/known", b"known")
    manifest = await push_manifest(any_http, "empty/known", "v1", MANIFEST)
    for path, digest in ((f"blobs/{blob}", blob), ("manifests/v1", manifest)):
        headers = {"if-none-match": f'"{digest}"'}
        response = await any_http.get(f"/v2/empty/known/{path}", headers=headers)
        assert (response.status_code, response.content) == (304, b"")
        assert {"content-length", "content-type", "transfer-encoding"}.isdisjoint(response.headers)
        assert response.headers["etag"] == f'"{digest}"'


async def test_head_has_the_headers_of_get(any_http: httpx.AsyncClient) -> None:
    blob = await push_blob(any_http, "empty/head", b"headless")
    await push_manifest(any_http, "empty/head", "v1", MANIFEST)
    for path in (f"blobs/{blob}", "manifests/v1", "tags/list", f"referrers/{blob}", "blobs/sha256:00"):
        got, head = [await any_http.request(method, f"/v2/empty/head/{path}") for method in ("GET", "HEAD")]
        assert head.content == b""
        assert head.status_code == got.status_code
        for name in ("content-length", "content-type"):
            assert head.headers[name] == got.headers[name]
