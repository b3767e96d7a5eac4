"""Uploads: in one request, in chunks or streamed; the progress and end of sessions; mounts."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hyperframe.frame import RstStreamFrame

from brokenreg.listening.listen_socket import RESET_ON_CLOSE
from brokenreg.storage.database import Database
from brokenreg.storage.errors import DatabaseUnreachableError
from brokenreg.wire import http2
from tests.raw_http import HTTP2
from tests.registry.pushing import (
    connect,
    digest_of,
    error_of,
    push_blob,
    read_response,
    stored,
    until_in_flight,
)
from tests.server import Brokenreg

CONTENT = random.Random("uploads").randbytes(200_000)
DIGEST = digest_of(CONTENT)


async def begin(http: httpx.AsyncClient, repository: str, **parameters: str) -> str:
    """Start a session, and return its URL."""
    response = await http.post(f"/v2/{repository}/blobs/uploads/", params=parameters)
    assert response.status_code == 202, response.text
    return response.headers["location"]


async def patch(http: httpx.AsyncClient, url: str, content: bytes, first: int) -> httpx.Response:
    content_range = f"{first}-{first + len(content) - 1}"
    return await http.patch(url, content=content, headers={"content-range": content_range})


async def is_pulled(http: httpx.AsyncClient, repository: str, content: bytes, digest: str) -> None:
    pulled = await http.get(f"/v2/{repository}/blobs/{digest}")
    assert (pulled.status_code, pulled.content) == (200, content)


async def test_post_begins_a_session(http: httpx.AsyncClient) -> None:
    response = await http.post("/v2/uploads/begin/blobs/uploads/")
    assert (response.status_code, response.content) == (202, b"")
    location = response.headers["location"]
    assert location.rsplit("/", 1)[1] == response.headers["docker-upload-uuid"]
    assert "/v2/uploads/begin/blobs/uploads/" in location
    assert response.headers["range"] == "0-0"


@pytest.mark.parametrize("path", ["uploads", "uploads/"])
async def test_post_then_put(http: httpx.AsyncClient, path: str) -> None:
    response = await http.post(f"/v2/uploads/put/blobs/{path}")
    url = response.headers["location"]
    done = await http.put(url, params={"digest": DIGEST}, content=CONTENT)
    assert done.status_code == 201
    assert done.headers["docker-content-digest"] == DIGEST
    assert done.headers["location"].endswith(f"/v2/uploads/put/blobs/{DIGEST}")
    await is_pulled(http, "uploads/put", CONTENT, DIGEST)
    for again in (await http.get(url), await http.put(url, params={"digest": DIGEST}, content=CONTENT)):
        assert error_of(again, 404)["code"] == "BLOB_UPLOAD_UNKNOWN"


async def test_post_whole(http: httpx.AsyncClient) -> None:
    response = await http.post("/v2/uploads/whole/blobs/uploads/", params={"digest": DIGEST}, content=CONTENT)
    assert (response.status_code, response.headers["docker-content-digest"]) == (201, DIGEST)
    assert response.headers["location"].endswith(f"/v2/uploads/whole/blobs/{DIGEST}")
    await is_pulled(http, "uploads/whole", CONTENT, DIGEST)


@pytest.mark.parametrize("last", ["in the PUT", "in a PATCH"])
async def test_in_chunks(http: httpx.AsyncClient, last: str) -> None:
    url = await begin(http, "uploads/chunks")
    for first in range(0, 150_000, 50_000):
        response = await patch(http, url, CONTENT[first : first + 50_000], first)
        assert (response.status_code, response.headers["range"]) == (202, f"0-{first + 49_999}")
        url = response.headers["location"]
    rest, headers = CONTENT[150_000:], {"content-range": "150000-199999"}
    if last == "in a PATCH":
        url = (await patch(http, url, rest, 150_000)).headers["location"]
        rest, headers = b"", {}
    done = await http.put(url, params={"digest": DIGEST}, content=rest, headers=headers)
    assert (done.status_code, done.headers["docker-content-digest"]) == (201, DIGEST)
    await is_pulled(http, "uploads/chunks", CONTENT, DIGEST)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("first", [0, 50_000, 150_000])
async def test_a_chunk_out_of_order_can_be_corrected(
    http: httpx.AsyncClient, method: str, first: int
) -> None:
    url = await begin(http, "uploads/order")
    await patch(http, url, CONTENT[:100_000], 0)
    headers = {"content-range": f"{first}-{first + 9}"}
    wrong = await http.request(
        method, url, params={"digest": DIGEST}, content=CONTENT[first : first + 10], headers=headers
    )
    assert error_of(wrong, 416)["code"] == "RANGE_INVALID"
    status = await http.get(url)
    assert (status.status_code, status.headers["range"]) == (204, "0-99999")
    assert (await patch(http, status.headers["location"], CONTENT[100_000:], 100_000)).status_code == 202
    assert (await http.put(url, params={"digest": DIGEST})).status_code == 201
    await is_pulled(http, "uploads/order", CONTENT, DIGEST)


@pytest.mark.parametrize("content_range", ["x", "5-", "9-0", "bytes */10", "-5-5"])
async def test_a_bad_content_range(http: httpx.AsyncClient, content_range: str) -> None:
    url = await begin(http, "uploads/bad-range")
    response = await http.patch(url, content=b"0123456789", headers={"content-range": content_range})
    assert error_of(response, 400)["code"] == "BLOB_UPLOAD_INVALID"
    assert (await http.get(url)).headers["range"] == "0-0"


@pytest.mark.parametrize("content_range", ["0-8", "0-10"])
async def test_a_content_range_that_does_not_match_the_body(
    http: httpx.AsyncClient, content_range: str
) -> None:
    url = await begin(http, "uploads/range-length")
    response = await http.patch(url, content=b"0123456789", headers={"content-range": content_range})
    assert error_of(response, 400)["code"] == "SIZE_INVALID"
    done = await http.put(url, params={"digest": DIGEST}, content=CONTENT)
    assert done.status_code == 201  # nothing of the chunk stayed


def test_a_put_that_failed_is_repeated(own_registry: Brokenreg, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends the same bytes again, as it should after a 503."""
    created = httpx.post(f"{own_registry.url}/v2/uploads/again/blobs/uploads/")
    url = f"{own_registry.url}{created.headers['location']}"
    patched = httpx.patch(url, content=CONTENT[:70_000])
    assert patched.status_code == 202

    async def unreachable(*_: object) -> None:
        raise DatabaseUnreachableError("the database does not respond")

    with monkeypatch.context() as context:
        context.setattr(Database, "write", unreachable)
        failed = httpx.put(url, params={"digest": DIGEST}, content=CONTENT[70_000:])
    assert failed.status_code == 503
    assert httpx.get(url).headers["range"] == "0-69999"
    done = httpx.put(url, params={"digest": DIGEST}, content=CONTENT[70_000:])
    assert (done.status_code, done.headers["docker-content-digest"]) == (201, DIGEST)


async def test_streamed(http: httpx.AsyncClient) -> None:
    """As docker pushes: one PATCH of unknown length, then an empty PUT."""

    async def stream() -> AsyncIterator[bytes]:
        for first in range(0, len(CONTENT), 7_777):
            yield CONTENT[first : first + 7_777]

    url = await begin(http, "uploads/stream")
    response = await http.patch(url, content=stream())
    assert (response.status_code, response.headers["range"]) == (202, "0-199999")
    assert (await http.put(url, params={"digest": DIGEST})).status_code == 201
    await is_pulled(http, "uploads/stream", CONTENT, DIGEST)


async def test_the_status_of_a_session(http: httpx.AsyncClient) -> None:
    url = await begin(http, "uploads/status")
    empty = await http.get(url)
    await http.patch(url, content=CONTENT[:1000])
    filled = await http.get(url)
    for response, progress in ((empty, "0-0"), (filled, "0-999")):
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["range"] == progress
        assert response.headers["location"] == url
        assert response.headers["docker-distribution-api-version"] == "registry/2.0"


async def test_cancel(http: httpx.AsyncClient, registry: Brokenreg) -> None:
    before = stored(registry)
    url = await begin(http, "uploads/cancel")
    await http.patch(url, content=CONTENT)
    assert stored(registry) != before
    response = await http.delete(url)
    assert (response.status_code, response.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        assert error_of(await http.request(method, url), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert stored(registry) == before


@pytest.mark.parametrize("session_algorithm", [None, "sha256", "sha512"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_either_digest_whatever_was_announced(
    http: httpx.AsyncClient, session_algorithm: str | None, algorithm: str
) -> None:
    announced = {"digest-algorithm": session_algorithm} if session_algorithm else {}
    repository = f"uploads/{session_algorithm or 'none'}-{algorithm}"
    url = await begin(http, repository, **announced)
    await http.patch(url, content=CONTENT[:100_000])
    digest = digest_of(CONTENT, algorithm)
    done = await http.put(url, params={"digest": digest}, content=CONTENT[100_000:])
    assert (done.status_code, done.headers["docker-content-digest"]) == (201, digest)
    await is_pulled(http, repository, CONTENT, digest)


async def test_a_whole_sha512(http: httpx.AsyncClient) -> None:
    digest = digest_of(CONTENT, "sha512")
    response = await http.post("/v2/uploads/512/blobs/uploads/", params={"digest": digest}, content=CONTENT)
    assert response.status_code == 201
    await is_pulled(http, "uploads/512", CONTENT, digest)


async def test_an_unknown_algorithm(http: httpx.AsyncClient) -> None:
    response = await http.post("/v2/uploads/md5/blobs/uploads/?digest-algorithm=md5")
    assert error_of(response, 400)["code"] == "DIGEST_INVALID"


async def test_a_session_belongs_to_its_repository(http: httpx.AsyncClient) -> None:
    url = await begin(http, "uploads/own")
    elsewhere = url.replace("uploads/own/", "uploads/other/")
    in_a_namespace = url.replace("/v2/", "/v2/broken/in/n/")
    for foreign in (elsewhere, in_a_namespace):
        assert error_of(await http.patch(foreign, content=b"x"), 404)["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert (await http.get(url)).headers["range"] == "0-0"


async def test_mount(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "uploads/source", b"mounted")
    response = await http.post(f"/v2/uploads/target/blobs/uploads/?mount={digest}&from=uploads/source")
    assert (response.status_code, response.headers["docker-content-digest"]) == (201, digest)
    assert response.headers["location"].endswith(f"/v2/uploads/target/blobs/{digest}")
    await is_pulled(http, "uploads/target", b"mounted", digest)
    await http.delete(f"/v2/uploads/source/blobs/{digest}")
    await is_pulled(http, "uploads/target", b"mounted", digest)


async def test_mount_without_from(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "uploads/anywhere", b"anonymous")
    response = await http.post(f"/v2/uploads/anonymous/blobs/uploads/?mount={digest}")
    assert response.status_code == 201
    await is_pulled(http, "uploads/anonymous", b"anonymous", digest)
    apart = await http.post(f"/v2/broken/in/apart/uploads/anonymous/blobs/uploads/?mount={digest}")
    assert apart.status_code == 202  # no repository of that namespace has it


async def test_mount_of_a_missing_blob_starts_a_session(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "uploads/has-it", b"not where you look")
    for parameters in (
        {"mount": digest, "from": "uploads/has-it-not"},
        {"mount": digest_of(b"nobody has it"), "from": "uploads/has-it"},
        {"mount": digest_of(b"nobody has it")},
    ):
        url = await begin(http, "uploads/unmounted", **parameters)
        done = await http.put(url, params={"digest": DIGEST}, content=CONTENT)
        assert done.status_code == 201


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("uploads/apart", "broken/in/apart/uploads/apart"),
        ("broken/in/apart/uploads/apart", "uploads/beside"),
        ("broken/in/apart/uploads/apart", "broken/in/elsewhere/uploads/apart"),
    ],
)
async def test_a_mount_stays_in_its_namespace(http: httpx.AsyncClient, source: str, target: str) -> None:
    """In another namespace the blob does not exist, so that the client must upload it."""
    digest = await push_blob(http, source, b"of one namespace")
    await begin(http, target, mount=digest, **{"from": source})
    assert (await http.get(f"/v2/{target}/blobs/{digest}")).status_code == 404
    beside = f"{source}-beside"
    mounted = await http.post(f"/v2/{beside}/blobs/uploads/", params={"mount": digest, "from": source})
    assert mounted.status_code == 201
    await is_pulled(http, beside, b"of one namespace", digest)


async def test_mount_of_a_fabricated_blob(http: httpx.AsyncClient) -> None:
    """A layer or a configuration of an image of that repository. Other blobs are not mounted."""
    tag = "layers-1_size-600000_seed-18"
    manifest = (await http.get(f"/v2/broken/random/manifests/{tag}")).json()
    url = "/v2/uploads/fabricated/blobs/uploads/"
    for digest in (manifest["layers"][0]["digest"], manifest["config"]["digest"]):
        made = (await http.get(f"/v2/broken/random/blobs/{digest}")).content
        await begin(http, "uploads/fabricated", mount=digest, **{"from": "broken/truncate"})
        await begin(http, "broken/in/apart/uploads/made", mount=digest, **{"from": "broken/random"})
        for _ in range(2):
            mounted = await http.post(url, params={"mount": digest, "from": "broken/random"})
            assert (mounted.status_code, mounted.headers["docker-content-digest"]) == (201, digest)
        await is_pulled(http, "uploads/fabricated", made, digest)


@pytest.mark.parametrize("query", ["digest=", "mount=", "mount=&from=uploads/x", "digest-algorithm="])
async def test_an_empty_parameter_is_none(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.post(f"/v2/uploads/empty/blobs/uploads/?{query}")).status_code == 202


async def test_a_mount_with_an_empty_from_is_of_any_repository(http: httpx.AsyncClient) -> None:
    digest = await push_blob(http, "uploads/empty-from", b"empty from")
    mounted = await http.post(f"/v2/uploads/from-empty/blobs/uploads/?mount={digest}&from=")
    assert mounted.status_code == 201


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("mount=sha256:00", "DIGEST_INVALID"),
        (f"mount={DIGEST}&from=UPPER", "NAME_INVALID"),
        ("digest=latest", "DIGEST_INVALID"),
    ],
)
async def test_a_bad_parameter(http: httpx.AsyncClient, query: str, code: str) -> None:
    response = await http.post(f"/v2/uploads/bad/blobs/uploads/?{query}", content=b"x")
    assert error_of(response, 400)["code"] == code


@pytest.mark.parametrize("query", ["", "?digest="])
async def test_put_without_a_digest(http: httpx.AsyncClient, query: str) -> None:
    url = await begin(http, "uploads/no-digest")
    error = error_of(await http.put(f"{url}{query}", content=CONTENT), 400)
    assert (error["code"], "needs ?digest=" in error["message"]) == ("DIGEST_INVALID", True)


async def test_a_held_response_does_not_hold_its_session(
    http: httpx.AsyncClient, registry: Brokenreg
) -> None:
    """A client that was cut off, or that repeats its request, continues at the session's offset."""
    url = await begin(http, "uploads/held")
    rule = {"fault": {"type": "hold"}, "match": {"endpoint": "upload", "method": "PATCH"}, "times": 1}
    async with httpx.AsyncClient(base_url=registry.control) as control:
        assert (await control.post("/v1/rules", json=rule)).status_code == 201
        held = asyncio.create_task(patch(http, url, b"first", 0))
        try:
            while not (await control.get("/v1/exchanges", params={"filter": "held:true"})).json():
                pass  # its session counts the bytes before it is free again
            async with httpx.AsyncClient(base_url=registry.url) as other:
                assert (await other.get(url)).headers["range"] == "0-4"
                second = await patch(other, url, b"second", 5)
                assert (second.status_code, second.headers["range"]) == (202, "0-10")
                digest = digest_of(b"firstsecond")
                assert (await other.put(url, params={"digest": digest})).status_code == 201
        finally:
            assert (await control.post("/v1/resume")).status_code == 200
            assert (await control.request("DELETE", "/v1/rules")).status_code in (200, 204)
    response = await held
    assert (response.status_code, response.headers["range"]) == (202, "0-4")


def test_two_requests_for_one_session(registry: Brokenreg) -> None:
    """The second gets a 409, and the first continues."""
    url = httpx.post(f"{registry.url}/v2/uploads/two/blobs/uploads/").headers["location"]
    with connect(registry) as first:
        head = f"PATCH {url} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
        first.sendall(head.encode() + CONTENT[:1000])
        until_in_flight(registry, 1)
        for method in ("PATCH", "PUT", "DELETE"):
            other = httpx.request(method, f"{registry.url}{url}", params={"digest": DIGEST})
            assert error_of(other, 409)["code"] == "BLOB_UPLOAD_INVALID"
        first.sendall(CONTENT[1000:])
        assert read_response(first).status_code == 202
    done = httpx.put(f"{registry.url}{url}", params={"digest": DIGEST})
    assert (done.status_code, done.headers["docker-content-digest"]) == (201, DIGEST)


def test_a_client_that_resets_a_long_upload_has_disconnected(own_registry: Brokenreg) -> None:
    """A thread reads the upload and notices the reset first."""

    def newest() -> dict[str, Any]:
        return httpx.get(f"{own_registry.control}/v1/exchanges").json()[-1]

    size = 2 * 1024 * 1024
    with connect(own_registry) as connection:
        head = f"POST /v2/reset/blobs/uploads/?digest={DIGEST} HTTP/1.1\r\nHost: {own_registry.host}\r\n"
        connection.sendall(f"{head}Content-Length: {size + 1}\r\n\r\n".encode() + bytes(size))
        until_in_flight(own_registry, 1)
        while newest()["request_bytes"] < size:
            pass
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    while newest()["ended"] is None:
        pass
    assert newest()["ended"] == "disconnected"


def test_an_upload_that_is_reset_as_it_begins_leaves_no_session(
    own_registry: Brokenreg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Floods do so; nobody would know the id of the session."""
    monkeypatch.setattr(http2, "_TURN", 60.0)
    sent = bytearray()
    with HTTP2(own_registry) as connection:
        with monkeypatch.context() as patched:
            patched.setattr(connection, "send", sent.extend)
            for _ in range(20):
                stream = connection.begin("/v2/reset/blobs/uploads/", "POST")
                sent += RstStreamFrame(stream, error_code=8).serialize()
        connection.send(bytes(sent))
        assert connection.ask("/v2/").status == 200
    exchanges = httpx.get(f"{own_registry.control}/v1/exchanges").json()
    assert [each["ended"] for each in exchanges] == ["disconnected"] * 20 + ["complete"]
    assert not list((own_registry.data / "uploads").iterdir())


def test_a_client_that_waits_for_100_continue(registry: Brokenreg) -> None:
    url = f"/v2/uploads/continue/blobs/uploads/?digest={DIGEST}"
    with connect(registry) as connection:
        connection.sendall(
            f"POST {url} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: {len(CONTENT)}\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(CONTENT)
        assert read_response(connection).status_code == 201


async def test_many_sessions_at_once(http: httpx.AsyncClient) -> None:
    """They push the same blob to one repository. Each gets a 201, and one file remains."""

    async def push() -> int:
        url = await begin(http, "uploads/many")
        await http.patch(url, content=CONTENT[:70_000])
        return (await http.put(url, params={"digest": DIGEST}, content=CONTENT[70_000:])).status_code

    assert set(await asyncio.gather(*(push() for _ in range(20)))) == {201}
    await is_pulled(http, "uploads/many", CONTENT, DIGEST)
