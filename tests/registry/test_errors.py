"""All errors are in OCI form, and refused requests leave nothing behind."""

from __future__ import annotations

import contextlib
import socket
import struct

import httpx
import pytest

from brokenreg.registry.responses import forget_frames
from tests.registry.pushing import (
    connect,
    digest_of,
    error_of,
    image,
    push_blob,
    push_manifest,
    raw_request,
    read_response,
    status,
    stored,
    until_in_flight,
)
from tests.server import Brokenreg

DIGEST = digest_of(b"errors")
SESSION = "0" * 32


@pytest.mark.parametrize(
    "path",
    ["/v1/", "/v2/x", "/v2/x/y/z", "/v2/manifests/v1", "/favicon.ico", "/v2/x/tags", "/v2/_other",
     "/v2/x/blobs/uploads/a/b", "//v2/", "/v2/x/manifests/v1/", "/%ff%00"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
async def test_a_foreign_path(http: httpx.AsyncClient, method: str, path: str) -> None:
    await is_foreign(http, method, path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_the_root_is_a_page_for_get_and_head_alone(http: httpx.AsyncClient, method: str) -> None:
    await is_foreign(http, method, "/")


async def is_foreign(http: httpx.AsyncClient, method: str, path: str) -> None:
    response = await http.request(method, http.base_url.copy_with(raw_path=path.encode()))
    assert response.status_code in (400, 404)
    error_of(response, response.status_code)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/x/manifests/v1", "DELETE, GET, HEAD, PUT"),
        ("PATCH", f"/v2/x/manifests/{DIGEST}", "DELETE, GET, HEAD, PUT"),
        ("PUT", f"/v2/x/blobs/{DIGEST}", "DELETE, GET, HEAD"),
        ("HEAD", f"/v2/x/blobs/uploads/{SESSION}", "DELETE, GET, PATCH, PUT"),
        ("POST", f"/v2/x/blobs/uploads/{SESSION}", "DELETE, GET, PATCH, PUT"),
        ("DELETE", "/v2/x/tags/list", "GET, HEAD"),
        ("PUT", f"/v2/x/referrers/{DIGEST}", "GET, HEAD"),
        ("OPTIONS", "/v2/_catalog", "GET, HEAD"),
        ("BREW", "/v2/", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_allowed(
    http: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await http.request(method, path, content=b"some body" if method != "HEAD" else None)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    if method != "HEAD":
        assert error_of(response, 405)["code"] == "UNSUPPORTED"


@pytest.mark.parametrize(
    "name",
    ["UPPER", "a//b", "a/", ".a", "a..b", "a___b", "-a", "a-", "%2e%2e/b", "a%2F..%2F..%2Fb",
     "ä", "a b", "a%00b", "n" * 256, "broken/in/x", "broken/with/error", "broken"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["manifests/v1", f"manifests/{DIGEST}", f"blobs/{DIGEST}", "blobs/uploads/"])
async def test_a_bad_name_stores_nothing(
    http: httpx.AsyncClient, registry: Brokenreg, name: str, kind: str
) -> None:
    before, counts = stored(registry), status(registry)
    method = "PUT" if kind.startswith("manifests") else "POST" if kind.endswith("/") else "GET"
    response = await http.request(
        method, f"/v2/{name}/{kind}", content=b"errors" if method != "GET" else None
    )
    assert error_of(response, 400)["code"] == "NAME_INVALID"
    assert stored(registry) == before
    for count in ("repositories", "manifests", "blobs"):
        assert status(registry)[count] == counts[count]


def test_a_path_is_not_resolved(registry: Brokenreg) -> None:
    """Some clients send such paths, although most resolve the dots."""
    head = b"PUT /v2/a/../errors/manifests/v1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\n{}"
    assert error_of(raw_request(registry, head), 400)["code"] == "NAME_INVALID"
    assert httpx.get(f"{registry.url}/v2/errors/manifests/v1").status_code == 404


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        (".hidden", "TAG_INVALID"),
        ("-dash", "TAG_INVALID"),
        ("t" * 129, "TAG_INVALID"),
        ("sp%20ace", "TAG_INVALID"),
        ("new%0Aline", "TAG_INVALID"),
        ("tag%0A", "TAG_INVALID"),
        ("sha256:short", "DIGEST_INVALID"),
        (DIGEST.upper().replace("SHA", "sha"), "DIGEST_INVALID"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "DIGEST_INVALID"),
        (f"{DIGEST}%0A", "DIGEST_INVALID"),
        (digest_of(b"other"), "DIGEST_INVALID"),
    ],
)
async def test_a_bad_reference_stores_nothing(http: httpx.AsyncClient, reference: str, code: str) -> None:
    response = await http.put(f"/v2/errors/reference/manifests/{reference}", content=b"errors")
    assert error_of(response, 400)["code"] == code
    is_valid_digest = reference == digest_of(b"other")
    for method in ("GET", "HEAD", "DELETE"):
        got = await http.request(method, f"/v2/errors/reference/manifests/{reference}")
        assert got.status_code == (404 if is_valid_digest or code == "TAG_INVALID" else 400)
    assert (await http.get("/v2/errors/reference/tags/list")).status_code == 404


async def test_the_longest_names_and_tags_are_accepted(http: httpx.AsyncClient) -> None:
    name, tag = "/".join(["n" * 63] * 4), "T" * 128
    assert len(name) == 255
    body = image(b"long")
    await push_manifest(http, name, tag, body)
    assert (await http.get(f"/v2/{name}/manifests/{tag}")).content == body


@pytest.mark.parametrize("way", ["whole", "put", "patch and put"])
async def test_a_wrong_digest_stores_nothing(http: httpx.AsyncClient, registry: Brokenreg, way: str) -> None:
    before = stored(registry)
    url = "/v2/errors/wrong/blobs/uploads/"
    content = b"not what was promised"
    if way == "whole":
        response = await http.post(url, params={"digest": DIGEST}, content=content)
    else:
        url = (await http.post(url)).headers["location"]
        if way == "patch and put":
            await http.patch(url, content=content)
            content = b""
        response = await http.put(url, params={"digest": DIGEST}, content=content)
    error = error_of(response, 400)
    assert error["code"] == "DIGEST_INVALID"
    assert digest_of(b"not what was promised") in error["message"]
    for digest in (DIGEST, digest_of(b"not what was promised")):
        assert (await http.get(f"/v2/errors/wrong/blobs/{digest}")).status_code == 404
    assert stored(registry) == before


HALVES = [
    pytest.param(b"Content-Length: 12", b"errors", id="content-length"),
    pytest.param(b"Transfer-Encoding: chunked", b"6\r\nerrors\r\n", id="between chunks"),
    pytest.param(b"Transfer-Encoding: chunked", b"12\r\nerrors", id="inside a chunk"),
]
"""Each sends the whole of `errors`, whose digest is asked for, and yet not all that was announced."""


@pytest.mark.parametrize(("framing", "part"), HALVES)
@pytest.mark.parametrize("leave", ["shut", "close", "reset"])
@pytest.mark.parametrize("way", ["whole", "put", "patch"])
def test_a_body_that_is_cut_short_stores_nothing(
    registry: Brokenreg, way: str, leave: str, framing: bytes, part: bytes
) -> None:
    before = stored(registry)
    method, url = b"POST", f"/v2/errors/cut/blobs/uploads/?digest={DIGEST}"
    session = ""
    if way != "whole":
        session = httpx.post(f"{registry.url}/v2/errors/cut/blobs/uploads/").headers["location"]
        httpx.patch(f"{registry.url}{session}", content=b"")
        method = way.upper().encode()
        url = f"{session}?digest={DIGEST}" if way == "put" else session
    request = b"%s %s HTTP/1.1\r\nHost: HOST\r\n%s\r\n\r\n%s" % (method, url.encode(), framing, part)
    if leave == "shut":
        response = raw_request(registry, request, shut=True)
        assert error_of(response, 400)["code"] == "SIZE_INVALID"
    else:
        leave_in_the_middle(registry, request, reset=leave == "reset")
    until_in_flight(registry, 0)
    assert httpx.get(f"{registry.url}/v2/errors/cut/blobs/{DIGEST}").status_code == 404
    if session:
        assert httpx.get(f"{registry.url}{session}").headers["range"] == "0-0"
        assert (registry.data / "uploads" / session.rsplit("/", 1)[1]).stat().st_size == 0
        assert httpx.delete(f"{registry.url}{session}").status_code == 204
    assert stored(registry) == before


def leave_in_the_middle(registry: Brokenreg, request: bytes, *, reset: bool) -> None:
    seen = status(registry)["exchanges"]
    with connect(registry) as connection:
        connection.sendall(request.replace(b"HOST", registry.host.encode()))
        while status(registry)["exchanges"] == seen:  # it has arrived
            pass
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_connection_continues_after_an_error(registry: Brokenreg) -> None:
    """The body of a refused request is read, so that the next request can be parsed."""
    with connect(registry) as connection:
        for _ in range(3):
            connection.sendall(
                b"PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n%s"
                % (registry.host.encode(), b"x" * 100_000)
            )
            received = b""
            while not received.endswith(b"}]}"):
                chunk = connection.recv(65536)
                assert chunk, "the connection was closed"
                received += chunk
            assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("prefix", ["broken/in/team-a", "broken/in/team-b"])
async def test_namespaces_keep_repositories_apart(http: httpx.AsyncClient, prefix: str) -> None:
    """The same names and tags have different contents, and Location keeps the prefix."""
    name, body = f"{prefix}/errors/app", image(prefix.encode())
    assert (await http.get(f"/v2/{name}/manifests/v1")).status_code == 404
    session = await http.post(f"/v2/{name}/blobs/uploads/")
    assert session.headers["location"].startswith(f"/v2/{name}/blobs/uploads/")
    done = await http.put(session.headers["location"], params={"digest": DIGEST}, content=b"errors")
    assert done.headers["location"] == f"/v2/{name}/blobs/{DIGEST}"
    pushed = await http.put(f"/v2/{name}/manifests/v1", content=body)
    assert pushed.headers["location"] == f"/v2/{name}/manifests/{digest_of(body)}"
    assert (await http.get(f"/v2/{name}/manifests/v1")).content == body
    assert (await http.get("/v2/errors/app/manifests/v1")).status_code == 404
    assert (await http.get(f"/v2/errors/app/blobs/{DIGEST}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 200),
        ("GET", "/v2/errors/body/manifests/v1", 200),
        ("HEAD", "/v2/errors/body/manifests/v1", 200),
        ("GET", f"/v2/errors/body/blobs/{DIGEST}", 200),
        ("DELETE", "/v2/errors/body/manifests/v2", 404),
        ("GET", "/v2/broken/random/manifests/layers-1_size-1", 200),
        ("GET", "/v2/broken/error/manifests/404", 404),
        ("DELETE", "/v2/broken/with/error_status-500/errors/body/manifests/v1", 500),
        ("GET", "/v2/broken/with/eror/errors/body/manifests/v1", 404),
        ("GET", "/healthz", 200),
    ],
)
async def test_an_unread_body(
    http: httpx.AsyncClient, registry: Brokenreg, method: str, path: str, status: int
) -> None:
    """It is read anyway. Otherwise the connection would wait forever for its next request."""
    await push_manifest(http, "errors/body", "v1", b"{}")
    await push_blob(http, "errors/body", b"errors")
    head = f"{method} {path} HTTP/1.1\r\nHost: {registry.host}\r\nContent-Length: 4\r\n\r\n"
    with connect(registry) as connection:
        connection.settimeout(3)
        for _ in range(3):
            connection.sendall(head.encode() + b"body")
            assert read_response(connection, method).status_code == status
    until_in_flight(registry, 0)


def test_chained_errors_keep_no_frames() -> None:
    first, second = ValueError("first"), KeyError("second")
    for error, cause in ((first, second), (second, first)):
        with contextlib.suppress(ValueError, KeyError):
            raise error from cause
    forget_frames(first)
    assert (first.__traceback__, second.__traceback__) == (None, None)
