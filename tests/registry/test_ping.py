"""The ping (`/v2/`)."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_ping_with_and_without_slash(http: httpx.AsyncClient, method: str, path: str) -> None:
    response = await http.request(method, path)
    assert response.status_code == 200  # no redirect: probes follow none
    assert response.headers["content-type"] == "application/json"
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    assert response.headers["content-length"] == "2"
    assert response.text == ("{}" if method == "GET" else "")


async def test_browsers_do_not_render_responses(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/v2/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox"


async def test_ping_accepts_only_get_and_head(http: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = await http.request(method, "/v2/")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
