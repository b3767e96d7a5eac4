"""The connection under HTTP: clients that die, clients that are fast, and the seam itself."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from pathlib import Path

import httpx
import pytest
from hypercorn.asyncio import run as hypercorn_run
from hyperframe.frame import DataFrame

from brokenreg.wire.tcp_server import Wire, install
from tests.raw_http import HTTP2
from tests.registry.pushing import digest_of
from tests.server import Brokenreg, brokenreg

BIG = "layers-1_size-256MiB"


def test_the_interface_to_hypercorn_is_unchanged() -> None:
    """Hypercorn looks up its connection class by this name. Without it, no connection fault would work."""
    install()
    assert hypercorn_run.TCPServer is Wire
    assert "await TCPServer(" in Path(hypercorn_run.__file__).read_text()


@pytest.mark.parametrize(
    ("method", "path"), [("GÉT", "/v2/"), ("GET", "/v2/é/tags/list"), ("GET", "/v2/?n=é")]
)
@pytest.mark.parametrize("tls", [(), ("--tls", "self-signed")])
def test_non_ascii_over_http2_resets_the_stream(
    tmp_path: Path, tls: tuple[str, ...], method: str, path: str
) -> None:
    """No other stream ends with it, its content is counted for the connection, and nothing is logged."""
    with brokenreg(tmp_path, *tls) as running:
        with HTTP2(running) as connection:
            before = connection.begin("/v2/broken/timeout/manifests/dur-300ms")
            refused = [connection.ask(path, method, content=bytes(16_384)) for _ in range(8)]
            assert {(each.ended, each.code) for each in refused} == {("rst-stream", 1)}
            assert connection.read(before).is_whole
            assert connection.ask("/v2/").status == 200
        running.stop()
    assert "Traceback" not in running.warnings


@pytest.mark.slow
def test_the_end_of_a_request_that_arrives_after_the_response_over_http2(registry: Brokenreg) -> None:
    """Some clients send Content-Length: 0 and then an empty DATA frame; the response does not wait for it."""
    with HTTP2(registry) as connection:
        for _ in range(20):
            path = "/v2/late/end/blobs/uploads/"
            stream = connection.begin(path, "POST", [("content-length", "0")], end=False)
            assert connection.read(stream).status == 202
            connection.send(DataFrame(stream, flags=["END_STREAM"]).serialize())
        assert connection.ask("/v2/").status == 200


async def test_an_exchange_with_empty_data_after_content_length_0_over_http2_ends(
    registry: Brokenreg,
) -> None:
    """Some clients send a POST without a body so: the empty frames must not keep the exchange in flight."""
    with HTTP2(registry) as connection:
        for frames in (1, 5):
            path = "/v2/empty/data/blobs/uploads/"
            stream = connection.begin(path, "POST", [("content-length", "0")], end=False)
            last = DataFrame(stream, flags=["END_STREAM"]).serialize()
            connection.send(DataFrame(stream).serialize() * (frames - 1) + last)
            assert connection.read(stream).status == 202
            await until_zero(registry, "in_flight")
        assert connection.ask("/v2/").status == 200


async def test_a_get_with_a_body_over_http2_does_not_block_its_connection(registry: Brokenreg) -> None:
    with HTTP2(registry) as connection:
        stream = connection.begin("/v2/", end=False)
        last = DataFrame(stream, b"x", flags=["END_STREAM"]).serialize()
        connection.send(DataFrame(stream, b"x").serialize() * 7 + last)
        assert connection.read(stream).status == 200
        assert connection.ask("/v2/").status == 200
    await until_zero(registry, "in_flight")


async def test_downloads_end_when_their_client_disconnects_over_http2(registry: Brokenreg) -> None:
    """A download with a full buffer must not wait forever."""
    content = bytes(4 << 20)
    digest = digest_of(content)
    async with httpx.AsyncClient(base_url=registry.url) as client:
        uploaded = await client.post("/v2/left/blobs/uploads/", params={"digest": digest}, content=content)
    assert uploaded.status_code == 201
    for pause in (0.0, 0.01, 0.02, 0.05) * 5:
        with HTTP2(registry) as connection:
            connection.begin(f"/v2/left/blobs/{digest}")
            await asyncio.sleep(pause)
    await until_zero(registry, "in_flight")


async def open_download(running: Brokenreg, digest: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = running.host.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    path = f"/v2/broken/random/blobs/{digest}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {running.host}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def layer_digest(client: httpx.AsyncClient) -> str:
    manifest = await client.get(f"/v2/broken/random/manifests/{BIG}")
    digest: str = manifest.json()["layers"][0]["digest"]
    return digest


async def ping(client: httpx.AsyncClient, count: int) -> None:
    for _ in range(count):
        assert (await client.get("/v2/")).status_code == 200


async def until_zero(running: Brokenreg, count: str) -> None:
    """Wait until `count` in the status is 0, for at most 5 s."""
    async with httpx.AsyncClient(base_url=running.control) as control:
        deadline = time.monotonic() + 5
        while (await control.get("/v1/status")).json()[count]:
            assert time.monotonic() < deadline, f"{count} does not come down to 0"


def kill(writer: asyncio.StreamWriter) -> None:
    """End the connection like a killed process: the kernel sends a reset if bytes are unread."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_pings_are_answered_beside_killed_and_fast_downloads(
    registry: Brokenreg, http: httpx.AsyncClient
) -> None:
    """Eight downloads, two of them killed in the middle, then eight that read as fast as they can."""
    digest = await layer_digest(http)
    downloads = [await open_download(registry, digest) for _ in range(8)]
    for reader, _ in downloads:
        await reader.readexactly(100_000)
    for _, writer in downloads[:2]:
        kill(writer)
    await ping(http, 20)
    readers = [asyncio.create_task(download_for_ever(registry, digest)) for _ in range(8)]
    await ping(http, 20)
    assert not any(task.done() for task in readers)
    for task in readers:
        task.cancel()
    await asyncio.wait(readers)
    for _, writer in downloads[2:]:
        kill(writer)


async def download_for_ever(running: Brokenreg, digest: str) -> None:
    """Read one download after the other as fast as possible."""
    while True:
        reader, writer = await open_download(running, digest)
        try:
            while await reader.read(1 << 20):
                pass
        finally:
            kill(writer)


async def test_a_killed_download_ends_immediately(registry: Brokenreg, http: httpx.AsyncClient) -> None:
    digest = await layer_digest(http)
    reader, writer = await open_download(registry, digest)
    await reader.readexactly(1_000_000)
    kill(writer)
    await until_zero(registry, "in_flight")


async def test_connections_do_not_outlive_their_clients(registry: Brokenreg, http: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=registry.url) as other:
        await other.get("/v2/")
    await http.aclose()
    await until_zero(registry, "connections")


def test_a_connection_without_a_request_is_logged(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data") as running:
        host, port = running.host.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as connection:
            client = "{}:{}".format(*connection.getsockname())
        while not httpx.get(f"{running.control}/v1/status").json()["exchanges"]:
            pass
        running.stop()
    (event,) = [line for line in running.lines if line["event"] == "exchange"]
    assert (event["endpoint"], event["client"], event["ended"]) == ("connect", client, "disconnected")


@pytest.mark.parametrize(
    "head",
    [
        "POST /v2/short/blobs/uploads/?digest=sha256:" + "0" * 64 + " HTTP/1.1\r\nContent-Length: 100\r\n",
        "PUT /v2/short/manifests/v1 HTTP/1.1\r\nContent-Length: 100\r\n",
        "PUT /v2/short/manifests/v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_a_body_that_is_cut_short_is_reported(registry: Brokenreg, head: str) -> None:
    host, port = registry.host.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        body = "5\r\nhello\r\n" if "chunked" in head else "hello"
        connection.sendall(f"{head}Host: {registry.host}\r\n\r\n{body}".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    head_, _, payload = answer.partition(b"\r\n\r\n")
    assert head_.startswith(b"HTTP/1.1 400 Bad Request")
    assert json.loads(payload)["errors"][0]["code"] == "SIZE_INVALID"


def test_responses_carry_their_reason_phrase(registry: Brokenreg) -> None:
    assert httpx.get(f"{registry.url}/v2/broken/error/manifests/500").reason_phrase == "Internal Server Error"
    with socket.create_connection(registry.host.rsplit(":", 1)) as connection:
        connection.sendall(f"GET /v2/x/manifests/y HTTP/1.1\r\nHost: {registry.host}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_a_tls_hello_on_the_plain_port_is_recognised(own_registry: Brokenreg) -> None:
    with socket.create_connection(own_registry.host.rsplit(":", 1)) as connection:
        connection.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160))
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    while not httpx.get(f"{own_registry.control}/v1/status").json()["exchanges"]:
        pass
    own_registry.stop()
    (event,) = [line for line in own_registry.lines if line["event"] == "exchange"]
    assert (event["endpoint"], event["status"], event["ended"]) == ("connect", 400, "complete")


@pytest.mark.parametrize("path", ["/v2/", "/v2/broken/random/manifests/layers-1_size-1"])
def test_closing_after_the_whole_response_is_not_a_disconnect(own_registry: Brokenreg, path: str) -> None:
    """Go's clients close on the last byte, perhaps before the task that responds has ended."""
    request = f"GET {path} HTTP/1.1\r\nHost: {own_registry.host}\r\n\r\n".encode()
    for _ in range(20):
        with socket.create_connection(own_registry.host.rsplit(":", 1)) as connection:
            connection.sendall(request)
            received = connection.recv(65536)
            length = int(received.lower().partition(b"content-length: ")[2].split()[0])
            while len(received.partition(b"\r\n\r\n")[2]) < length:
                received += connection.recv(65536)
    own_registry.stop()
    ended = [line["ended"] for line in own_registry.lines if line["event"] == "exchange"]
    assert ended == ["complete"] * 20


@pytest.mark.parametrize(
    ("request_head", "answer"),
    [
        ("GET http://HOST/v2/ HTTP/1.1\r\nHost: HOST\r\n", "HTTP/1.1 200 OK"),
        ("GET http://[::1/v2/ HTTP/1.1\r\nHost: HOST\r\n", "HTTP/1.1 421 Misdirected Request"),
        ("GET http://HOST HTTP/1.1\r\nHost: HOST\r\n", "HTTP/1.1 200 OK"),
        ("GET http://[::1?x HTTP/1.1\r\nHost: HOST\r\n", "HTTP/1.1 421 Misdirected Request"),
        ("OPTIONS * HTTP/1.1\r\nHost: HOST\r\n", "HTTP/1.1 404 Not Found"),
        ("GET /v2/ HTTP/1.0\r\n", "HTTP/1.1 200 OK"),
        ("GET /v2/ HTTP/1.1\r\n", "HTTP/1.1 400 Bad Request"),
        (
            "PUT /v2/expect/manifests/v1 HTTP/1.1\r\nHost: HOST\r\n"
            "Expect: 100-continue\r\nContent-Length: 2\r\n",
            "HTTP/1.1 100 Continue",
        ),
        (
            "GET /v2/ HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "HTTP/1.1 403 Forbidden",
        ),
    ],
)
def test_unusual_but_valid_requests(registry: Brokenreg, request_head: str, answer: str) -> None:
    with socket.create_connection(registry.host.rsplit(":", 1), timeout=10) as connection:
        connection.sendall(f"{request_head}\r\n".replace("HOST", registry.host).encode())
        assert connection.recv(4096).decode().startswith(f"{answer}\r\n")
