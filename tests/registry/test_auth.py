"""Authentication as clients see it: HTTP Basic and the token protocol at every endpoint."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import error_of
from tests.server import Brokenreg, brokenreg

USER, PASSWORD = "casey", "hunter2:with a colon"
USERS = ("--auth-user", f"{USER}:{PASSWORD}", "--auth-user", "other:secret")
DIGEST = "sha256:" + "0" * 64
SESSION = "ab" * 16


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("basic") / "data", "--auth", "basic", *USERS) as running:
        yield running


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("token") / "data", "--auth", "token", *USERS) as running:
        yield running


@asynccontextmanager
async def client(registry: Brokenreg) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=registry.url, timeout=30) as http:
        yield http


async def issued(http: httpx.AsyncClient, *scopes: str) -> dict[str, str]:
    """Return the Authorization header with a token for these scopes."""
    answer = await http.get("/token", params={"scope": list(scopes)}, auth=(USER, PASSWORD))
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}


async def test_basic_requires_a_user_name_and_password_everywhere(basic: Brokenreg) -> None:
    async with client(basic) as http:
        for method, path in [
            ("GET", "/v2/"),
            ("HEAD", "/v2/"),
            ("GET", "/v2/_catalog"),
            ("HEAD", "/v2/a/manifests/v1"),
            ("PUT", "/v2/a/manifests/v1"),
            ("POST", "/v2/a/blobs/uploads/"),
            ("GET", f"/v2/a/blobs/{DIGEST}"),
            ("DELETE", f"/v2/a/blobs/{DIGEST}"),
        ]:
            refused = await http.request(method, path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'
            assert refused.headers["docker-distribution-api-version"] == "registry/2.0"
            assert refused.headers["content-type"] == "application/json"
            if method == "HEAD":
                assert refused.content == b""
            else:
                assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
        assert (await http.get("/v2/", auth=(USER, PASSWORD))).json() == {}
        assert (await http.get("/v2/", auth=("other", "secret"))).json() == {}
        assert (await http.get("/healthz")).text == "ok\n"


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"casey:").decode(),
        "Basic " + base64.b64encode(b"casey:secret").decode(),
        "Basic " + base64.b64encode(b"nobody:secret").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
    ],
)
async def test_basic_refuses_wrong_credentials(basic: Brokenreg, token: Brokenreg, value: str) -> None:
    """The token service does not issue a token either."""
    async with client(basic) as http:
        refused = await http.get("/v2/", headers={"authorization": value})
        assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
        assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'
    async with client(token) as http:
        refused = await http.get("/token?scope=repository:a:pull", headers={"authorization": value})
        assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
        assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'


async def test_without_users_any_password_is_accepted_but_required(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--auth", "basic") as running:
        async with client(running) as http:
            assert (await http.get("/v2/", auth=("anybody", "x"))).status_code == 200
            for credentials in [("anybody", ""), ("", "x")]:
                assert (await http.get("/v2/", auth=credentials)).status_code == 401
            assert (await http.get("/v2/")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/", None),
        ("HEAD", "/v2/", None),
        ("GET", "/v2/_catalog?n=1", "registry:catalog:*"),
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
        ("GET", f"/v2/a/b/blobs/{DIGEST}", "repository:a/b:pull"),
        ("HEAD", f"/v2/a/b/blobs/{DIGEST}", "repository:a/b:pull"),
        ("DELETE", f"/v2/a/b/blobs/{DIGEST}", "repository:a/b:delete"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("PATCH", f"/v2/a/b/blobs/uploads/{SESSION}", "repository:a/b:pull,push"),
        ("PUT", f"/v2/a/b/blobs/uploads/{SESSION}", "repository:a/b:pull,push"),
        ("GET", f"/v2/a/b/blobs/uploads/{SESSION}", "repository:a/b:pull,push"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", f"/v2/a/b/referrers/{DIGEST}", "repository:a/b:pull"),
        (
            "POST",
            f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=broken/in/n/c",
            "repository:a/b:pull,push repository:broken/in/n/c:pull",
        ),
        ("POST", f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=a/b", "repository:a/b:pull,push"),
        ("POST", f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=a%22b", "repository:a/b:pull,push"),
        ("GET", "/v2/broken/in/n/a/manifests/v1", "repository:broken/in/n/a:pull"),
        ("GET", "/v2/broken/with/no-digest/a/manifests/v1", "repository:broken/with/no-digest/a:pull"),
    ],
)
async def test_the_challenge_names_what_is_needed(
    token: Brokenreg, method: str, path: str, scope: str | None
) -> None:
    """A token for exactly that scope is accepted, and one for another scope is not."""
    realm = f'Bearer realm="{token.url}/token",service="brokenreg"'
    told = realm if scope is None else f'{realm},scope="{scope}"'
    async with client(token) as http:
        refused = await http.request(method, path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, told)
        if method != "HEAD":
            assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
        broken = {"authorization": "Bearer nonsense"}
        refused = await http.request(method, path, headers=broken)
        assert refused.headers["www-authenticate"] == f'{told},error="invalid_token"'
        if scope is not None:
            other = await issued(http, "repository:another:pull,push,delete")
            refused = await http.request(method, path, headers=other)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == f'{told},error="insufficient_scope"'
        good = await issued(http, *(scope or "").split())
        assert (await http.request(method, path, headers=good)).status_code != 401


async def test_a_token_gives_access_to_its_scope(token: Brokenreg) -> None:
    async with client(token) as http:
        reader = await issued(http, "repository:scopes/app:pull")
        writer = await issued(http, "repository:scopes/app:pull,push")
        everything = await issued(http, "repository:scopes/app:*")
        url = "/v2/scopes/app/manifests/v1"
        refused = await http.put(url, content=b"{}", headers=reader)
        assert error_of(refused, 401)["message"] == "the token does not cover repository:scopes/app:pull,push"
        assert (await http.put(url, content=b"{}", headers=writer)).status_code == 201
        assert (await http.get(url, headers=reader)).content == b"{}"
        assert (await http.delete(url, headers=writer)).status_code == 401
        assert (await http.delete(url, headers=everything)).status_code == 202


async def test_a_token_for_one_spelling_does_not_cover_another(token: Brokenreg) -> None:
    names = ("spelt/app", "broken/in/n/spelt/app", "broken/with/no-digest/spelt/app")
    async with client(token) as http:
        for mine in names:
            headers = await issued(http, f"repository:{mine}:pull")
            for name in names:
                answer = await http.get(f"/v2/{name}/manifests/v1", headers=headers)
                assert (answer.status_code == 401) == (name != mine), name


async def test_invalid_and_unknown_paths_need_no_token(token: Brokenreg) -> None:
    async with client(token) as http:
        assert error_of(await http.get("/v2/A/manifests/v1"), 400)["code"] == "NAME_INVALID"
        assert error_of(await http.get("/nothing"), 404)["code"] == "UNSUPPORTED"
        assert (await http.get("/healthz")).text == "ok\n"


async def test_basic_credentials_are_not_accepted_as_a_token(token: Brokenreg) -> None:
    async with client(token) as http:
        refused = await http.get("/v2/", auth=(USER, PASSWORD))
        assert refused.headers["www-authenticate"] == f'Bearer realm="{token.url}/token",service="brokenreg"'


async def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--auth", "token", "--token-lifetime", "700ms") as running:
        async with client(running) as http:
            began = time.monotonic()
            answer = (await http.get("/token")).json()
            headers = {"authorization": f"Bearer {answer['token']}"}
            assert answer["expires_in"] == 1
            while (refused := await http.get("/v2/", headers=headers)).status_code == 200:
                assert time.monotonic() < began + 10
            assert time.monotonic() >= began + 0.6
            assert refused.headers["www-authenticate"].endswith(',error="invalid_token"')
            assert error_of(refused, 401)["message"] == "the token has expired"


async def test_the_realm_is_the_requested_host_or_the_public_url(tmp_path: Path) -> None:
    options = ("--auth", "token", "--public-url", "https://registry.example:5000/")
    with brokenreg(tmp_path / "data", *options) as running:
        async with client(running) as http:
            for headers in ({}, {"host": "registry.example:5000"}):
                told = (await http.get("/v2/", headers=headers)).headers["www-authenticate"]
                assert told == 'Bearer realm="https://registry.example:5000/token",service="brokenreg"'
            assert (await http.get("/v2/", headers={"host": "else.example"})).status_code == 421


async def test_the_requested_host(token: Brokenreg) -> None:
    port = token.host.rpartition(":")[2]
    async with client(token) as http:
        told = (await http.get("/v2/", headers={"host": f"localhost:{port}"})).headers["www-authenticate"]
        assert told.startswith(f'Bearer realm="http://localhost:{port}/token",')


def test_without_a_host_the_realm_is_the_connected_address(token: Brokenreg) -> None:
    answer = _asked_by_http_1_0(token, "")
    told = f'\r\nwww-authenticate: Bearer realm="{token.url}/token",service="brokenreg"\r\n'
    assert told.encode() in answer


@pytest.mark.parametrize("host", ['127.0.0.1:1"x', "127.0.0.1:80@else.example"])
def test_an_invalid_host_is_not_used_in_a_realm(token: Brokenreg, host: str) -> None:
    answer = _asked_by_http_1_0(token, f"Host: {host}\r\n")
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"www-authenticate" not in answer


def _asked_by_http_1_0(running: Brokenreg, named: str) -> bytes:
    host, _, port = running.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /v2/ HTTP/1.0\r\n{named}\r\n".encode())
        return connection.makefile("rb").read()


@pytest.mark.parametrize("auth", ["basic", "token"])
async def test_over_tls_and_http2(tmp_path: Path, auth: str) -> None:
    with brokenreg(tmp_path / "data", "--auth", auth, "--tls", "self-signed", *USERS) as running:
        async with httpx.AsyncClient(base_url=running.url, verify=False, http2=True) as http:
            refused = await http.get("/v2/")
            assert (refused.http_version, refused.status_code) == ("HTTP/2", 401)
            if auth == "basic":
                assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'
                credentials = httpx.BasicAuth(USER, PASSWORD)
                assert (await http.get("/v2/", auth=credentials)).status_code == 200
            else:
                realm = f'Bearer realm="{running.url}/token",service="brokenreg"'
                assert running.url.startswith("https://")
                assert refused.headers["www-authenticate"] == realm
                headers = await issued(http)
                assert (await http.get("/v2/", headers=headers)).status_code == 200
