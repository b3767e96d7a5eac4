"""The table of endpoints: each endpoint with each method, and which responses do not need to wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.http.asgi import ZERO_COPY, ReadyResponse
from brokenreg.oci.errors import ErrorCode
from brokenreg.oci.target import parse_target
from brokenreg.registry import Registry
from brokenreg.registry.auth.token_issuer import TokenIssuer
from brokenreg.registry.auth.token_service import TokenService
from brokenreg.registry.auth.users import Users
from brokenreg.registry.request import CatalogSettings, Services
from brokenreg.traffic.exchange import Exchange
from tests.registry.pushing import digest_of, error_of, image, push_blob, put_manifest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CONFIG = b"config of the endpoints"
MANIFEST = image(CONFIG)
DIGEST, BLOB = digest_of(MANIFEST), digest_of(CONFIG)
SESSION = "0" * 32
MISSING = digest_of(b"missing")

ALLOWED = {
    "/v2/": "GET, HEAD",
    "/v2/_catalog": "GET, HEAD",
    "/token": "GET, POST",
    "/v2/table/app/tags/list": "GET, HEAD",
    f"/v2/table/app/referrers/{DIGEST}": "GET, HEAD",
    "/v2/table/app/manifests/v1": "DELETE, GET, HEAD, PUT",
    f"/v2/table/app/manifests/{DIGEST}": "DELETE, GET, HEAD, PUT",
    f"/v2/table/app/blobs/{BLOB}": "DELETE, GET, HEAD",
    "/v2/table/app/blobs/uploads/": "POST",
    f"/v2/table/app/blobs/uploads/{SESSION}": "DELETE, GET, PATCH, PUT",
}


@pytest.fixture(autouse=True)
async def _pushed(http: httpx.AsyncClient) -> None:
    await push_blob(http, "table/app", CONFIG)
    assert (await put_manifest(http, "table/app", "v1", MANIFEST)).status_code == 201


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ALLOWED)
async def test_a_method_is_405_unless_the_table_has_it(
    http: httpx.AsyncClient, path: str, method: str
) -> None:
    response = await http.request(method, path)
    if method in ALLOWED[path].split(", "):
        assert response.status_code != 405
    elif method == "HEAD":
        assert (response.status_code, response.headers["allow"]) == (405, ALLOWED[path])
    else:
        assert error_of(response, 405)["code"] == ErrorCode.UNSUPPORTED
        assert response.headers["allow"] == ALLOWED[path]
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 200),
        ("GET", "/v2/_catalog", 200),
        ("GET", "/token", 200),
        ("GET", "/v2/table/app/tags/list", 200),
        ("GET", f"/v2/table/app/referrers/{DIGEST}", 200),
        ("GET", "/v2/table/app/manifests/v1", 200),
        ("GET", f"/v2/table/app/manifests/{DIGEST}", 200),
        ("GET", f"/v2/table/app/blobs/{BLOB}", 200),
        ("POST", "/v2/table/app/blobs/uploads/", 202),
        ("DELETE", "/v2/table/app/manifests/v1", 202),
        ("DELETE", f"/v2/table/app/manifests/{DIGEST}", 202),
        ("DELETE", f"/v2/table/app/blobs/{BLOB}", 202),
    ],
)
async def test_stored_content(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await http.request(method, path)).status_code == status
    if method == "GET" and path != "/token":
        head = await http.head(path)
        assert (head.status_code, head.content) == (status, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/table/none/tags/list", 404, ErrorCode.NAME_UNKNOWN),
        ("GET", "/v2/table/app/manifests/v2", 404, ErrorCode.MANIFEST_UNKNOWN),
        ("GET", f"/v2/table/app/manifests/{MISSING}", 404, ErrorCode.MANIFEST_UNKNOWN),
        ("DELETE", "/v2/table/app/manifests/v2", 404, ErrorCode.MANIFEST_UNKNOWN),
        ("GET", f"/v2/table/app/blobs/{MISSING}", 404, ErrorCode.BLOB_UNKNOWN),
        ("DELETE", f"/v2/table/app/blobs/{MISSING}", 404, ErrorCode.BLOB_UNKNOWN),
        ("GET", f"/v2/table/app/blobs/uploads/{SESSION}", 404, ErrorCode.BLOB_UPLOAD_UNKNOWN),
        ("PATCH", f"/v2/table/app/blobs/uploads/{SESSION}", 404, ErrorCode.BLOB_UPLOAD_UNKNOWN),
        ("PUT", f"/v2/table/app/blobs/uploads/{SESSION}?digest={BLOB}", 404, ErrorCode.BLOB_UPLOAD_UNKNOWN),
        ("DELETE", f"/v2/table/app/blobs/uploads/{SESSION}", 404, ErrorCode.BLOB_UPLOAD_UNKNOWN),
        ("PUT", f"/v2/table/app/blobs/uploads/{SESSION}", 400, ErrorCode.DIGEST_INVALID),
        ("PUT", "/v2/broken/error/manifests/404", 403, ErrorCode.DENIED),
        ("GET", "/v2/UPPER/tags/list", 400, ErrorCode.NAME_INVALID),
        ("GET", "/v2/table/app/blobs/sha256:short", 400, ErrorCode.DIGEST_INVALID),
        ("GET", "/v3/", 404, ErrorCode.UNSUPPORTED),
    ],
)
async def test_errors(http: httpx.AsyncClient, method: str, path: str, status: int, code: str) -> None:
    assert error_of(await http.request(method, path), status)["code"] == code


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    """Return the services of a server that has one repository."""
    settings = Settings(
        listen=["127.0.0.1:0"], control=None, data=tmp_path / "data", fabricate_limit="1GiB", offline=True
    )
    async with Server.running(settings, Diagnostics(), {}) as server:
        async with httpx.AsyncClient(base_url=server.registry_urls[0]) as http:
            await push_blob(http, "table/app", CONFIG)
            assert (await put_manifest(http, "table/app", "v1", MANIFEST)).status_code == 201
        runtime = server.runtime
        tokens = TokenService(Users({}), TokenIssuer(bytes(32)), 300)
        yield Services(runtime.store, runtime.images, CatalogSettings(), tokens, runtime.proxy)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/", 200),
        ("/v2/_catalog", 200),
        ("/v2/table/app/tags/list", 200),
        ("/v2/table/app/manifests/v1", 200),
        (f"/v2/table/app/manifests/{DIGEST}", 200),
        (f"/v2/table/app/blobs/{BLOB}", 200),
    ],
)
async def test_stored_content_is_sent_without_waiting(
    services: Services, method: str, path: str, status: int
) -> None:
    """The response is returned. Only blobs are sent by a coroutine, which does not wait."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError("no body is read")

    target = parse_target(path)
    exchange = Exchange(1, method, path, "", "1.1", "http", "127.0.0.1:1", target)
    scope = {
        "method": method,
        "headers": [],
        "query_string": b"",
        "extensions": {ZERO_COPY: {}},
        "brokenreg.target": target,
        "brokenreg.exchange": exchange,
    }
    handled = Registry(services)(scope, receive)
    if method == "GET" and "/blobs/" in path:
        with pytest.raises(StopIteration):
            handled(send).send(None)  # type: ignore[operator]  # what sends it is a coroutine
        assert sent[0]["status"] == status
        assert not sent[-1]["more_body"]
    else:
        assert isinstance(handled, ReadyResponse)
        assert handled.status == status
