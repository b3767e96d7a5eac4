"""The tests of blobs and uploads again, with blobs in an object store, and what is different there."""

from __future__ import annotations

import asyncio
import random
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import digest_of, error_of, push_blob
from tests.registry.test_blobs import *  # noqa: F403
from tests.registry.test_blobs import _pushed as _pushed  # a fixture that pushes what its tests read
from tests.registry.test_uploads import *  # noqa: F403
from tests.server import Brokenreg, brokenreg
from tests.storage.object_stores import (
    MIB,
    S3,
    FailingProxy,
    Failure,
    Reply,
    environment,
    failing_proxy,
    s3_server,
)

PREFIX = "module"
LARGE = random.Random("in an object store").randbytes(9 * MIB)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(s3: S3) -> Iterator[FailingProxy]:
    with failing_proxy(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def reachable(proxy: FailingProxy) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(proxy.port).items():
            patch.setenv(name, value)
        yield


def options(prefix: str = "") -> tuple[str, str]:
    return "--blobs", f"s3://blobs-of-tests/{prefix or uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, reachable: None) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("data") / "data", *options(PREFIX)) as running:
        yield running


@pytest.fixture
def own_registry(tmp_path: Path, reachable: None) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path / "data", *options()) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, reachable: None) -> Iterator[Brokenreg]:
    folder = tmp_path_factory.mktemp("secure") / "data"
    with brokenreg(folder, "--tls", "self-signed", *options()) as running:
        yield running


@pytest.fixture(scope="module")
def redirecting(tmp_path_factory: pytest.TempPathFactory, reachable: None) -> Iterator[Brokenreg]:
    folder = tmp_path_factory.mktemp("redirecting") / "data"
    with brokenreg(folder, "--blob-redirect", *options()) as running:
        yield running


@pytest.fixture(autouse=True)
def without_copies(request: pytest.FixtureRequest, registry: Brokenreg) -> None:
    """Let tests of blobs read from the store what was pushed before."""
    request.getfixturevalue("_pushed")
    remove_copies(registry)


@pytest.fixture
async def remote(registry: Brokenreg, http: httpx.AsyncClient) -> str:
    """The path of a blob that only the object store has."""
    repository = f"objects/{uuid.uuid4().hex[:8]}"
    await push_blob(http, repository, LARGE)
    remove_copies(registry)
    return f"/v2/{repository}/blobs/{digest_of(LARGE)}"


def remove_copies(registry: Brokenreg) -> None:
    for file in (registry.data / "blobs" / "sha256").iterdir():
        file.unlink()


async def test_a_blob_comes_from_the_store_and_then_from_its_copy(
    http: httpx.AsyncClient, remote: str, proxy: FailingProxy
) -> None:
    for reads in (2, 0):
        proxy.requests.clear()
        response = await http.get(remote)
        assert (response.status_code, response.content == LARGE) == (200, True)
        assert len(proxy.requests) == reads


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(LARGE)),
        ("bytes=-7", len(LARGE) - 7, len(LARGE)),
        ("bytes=1048570-2097160", 1048570, 2097161),
    ],
)
async def test_a_range_is_passed_on_to_the_store(
    http: httpx.AsyncClient, remote: str, registry: Brokenreg, value: str, begin: int, end: int
) -> None:
    response = await http.get(remote, headers={"range": value})
    assert (response.status_code, response.content == LARGE[begin:end]) == (206, True)
    assert response.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(LARGE)}"
    assert not any((registry.data / "blobs" / "sha256").iterdir())


async def test_head_needs_no_request_to_the_store(
    http: httpx.AsyncClient, remote: str, proxy: FailingProxy
) -> None:
    proxy.requests.clear()
    response = await http.head(remote)
    assert (response.status_code, response.headers["content-length"]) == (200, str(len(LARGE)))
    known = {"if-none-match": response.headers["etag"]}
    assert (await http.get(remote, headers=known)).status_code == 304
    assert proxy.requests == []


async def test_reads_and_pushes_fail_clearly_while_the_store_is_down(
    http: httpx.AsyncClient, remote: str, proxy: FailingProxy, registry: Brokenreg
) -> None:
    before = set((registry.data / "uploads").iterdir())
    proxy.is_down = True
    try:
        for headers in ({}, {"range": "bytes=5-10"}):
            response = await http.get(remote, headers=headers)
            error = error_of(response, 503)
            assert error["code"] == "UNAVAILABLE"
            assert "the object store s3://blobs-of-tests/" in error["message"]
        content = uuid.uuid4().bytes
        response = await http.post(
            "/v2/objects/down/blobs/uploads/", params={"digest": digest_of(content)}, content=content
        )
        assert error_of(response, 503)["code"] == "UNAVAILABLE"
    finally:
        proxy.is_down = False
    assert set((registry.data / "uploads").iterdir()) == before
    assert (await http.head(f"/v2/objects/down/blobs/{digest_of(content)}")).status_code == 404
    await push_blob(http, "objects/down", content)
    assert (await http.get(remote)).content == LARGE


async def test_a_lost_object_is_unknown_until_it_is_pushed_again(
    http: httpx.AsyncClient, registry: Brokenreg, s3: S3
) -> None:
    content = uuid.uuid4().bytes * 1000
    await push_blob(http, "objects/lost", content)
    remove_copies(registry)
    (key,) = [key for key, size in s3.objects(PREFIX).items() if size == len(content)]
    s3.remove(PREFIX, key)
    path = f"/v2/objects/lost/blobs/{digest_of(content)}"
    for _ in range(2):
        error = error_of(await http.get(path), 404)
        assert error["code"] == "BLOB_UNKNOWN"
        assert "push it again" in error["message"]
    assert (await http.head(path)).status_code == 404
    await push_blob(http, "objects/lost", content)
    assert (await http.get(path)).content == content


async def test_clients_are_redirected_to_the_store(redirecting: Brokenreg) -> None:
    async with httpx.AsyncClient(base_url=redirecting.url) as http:
        await push_blob(http, "objects/redirected", LARGE)
        for _ in range(2):  # with a copy and without
            path = f"/v2/objects/redirected/blobs/{digest_of(LARGE)}"
            response = await http.get(path)
            assert response.status_code == 307
            assert "X-Amz-Expires=300" in response.headers["location"]
            followed = await http.get(path, follow_redirects=True, headers={"range": "bytes=1-5"})
            assert (followed.status_code, followed.content) == (206, LARGE[1:6])
            assert (await http.head(path)).status_code == 200
            remove_copies(redirecting)


async def test_brokenreg_stops_soon_while_the_store_does_not_respond(
    tmp_path: Path, reachable: None, proxy: FailingProxy
) -> None:
    held = threading.Event()
    with brokenreg(tmp_path / "data", *options()) as running:
        proxy.fail = hold(held)
        async with httpx.AsyncClient(base_url=running.url) as http:
            url = "/v2/objects/stopped/blobs/uploads/"
            pushing = asyncio.create_task(http.post(url, params={"digest": digest_of(LARGE)}, content=LARGE))
            await proxy.wait_for("?uploads")
            try:
                await asyncio.to_thread(running.stop)  # it fails if this takes too long
                assert not held.is_set()
            finally:
                held.set()
                proxy.fail = None
            await asyncio.wait([pushing])


def hold(until: threading.Event) -> Failure:
    """Respond only after an event."""

    def fail(_: BaseHTTPRequestHandler, reply: Reply) -> Reply:
        until.wait(60)
        return reply

    return fail


async def test_the_control_api_lists_and_verifies_objects(
    registry: Brokenreg, http: httpx.AsyncClient, s3: S3
) -> None:
    content = uuid.uuid4().bytes * 5000
    digest = await push_blob(http, "objects/verified", content)
    remove_copies(registry)
    path = f"{registry.control}/v1/blobs/{digest}"
    assert (await http.get(path)).json()["size"] == len(content)
    assert (await http.post(f"{path}/verify")).json()["intact"] is True
    (key,) = [key for key, size in s3.objects(PREFIX).items() if size == len(content)]
    s3.replace(PREFIX, key, content[::-1])
    assert (await http.post(f"{path}/verify")).json()["intact"] is False
    missing = await http.get(f"/v2/objects/verified/blobs/{digest}")
    assert "its object has the digest" in error_of(missing, 404)["message"]
