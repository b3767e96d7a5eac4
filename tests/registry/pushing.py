"""Shared by the tests of the registry: contents, pushes, errors in OCI form, raw requests, stored files."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
import urllib.request
from typing import Any

import httpx

from tests.server import Brokenreg

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MIB = 1024 * 1024


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptor(content: bytes, media_type: str, algorithm: str = "sha256") -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content, algorithm), "size": len(content)}


def image(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """Return an OCI image manifest for these contents. `more` are members such as the subject."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(layer, OCI_LAYER) for layer in layers],
        **more,
    }
    return json.dumps(manifest).encode()


async def push_blob(http: httpx.AsyncClient, repository: str, content: bytes) -> str:
    """Push a blob in one request, and return its digest."""
    digest = digest_of(content)
    url = f"/v2/{repository}/blobs/uploads/"
    response = await http.post(url, params={"digest": digest}, content=content)
    assert response.status_code == 201, response.text
    return digest


async def put_manifest(
    http: httpx.AsyncClient, repository: str, reference: str, body: bytes, media_type: str = OCI_MANIFEST
) -> httpx.Response:
    url = f"/v2/{repository}/manifests/{reference}"
    return await http.put(url, content=body, headers={"content-type": media_type})


async def push_manifest(
    http: httpx.AsyncClient, repository: str, reference: str, body: bytes, media_type: str = OCI_MANIFEST
) -> str:
    """Push a manifest, and return the digest that the registry reports."""
    response = await put_manifest(http, repository, reference, body, media_type)
    assert response.status_code == 201, response.text
    return response.headers["docker-content-digest"]


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the only error of a response in OCI form."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    (error,) = response.json()["errors"]
    assert re.fullmatch(r"[A-Z_]+", error["code"])
    assert error["message"]
    return error


def next_page(response: httpx.Response) -> str | None:
    """Return the target of the Link header, as a client reads it."""
    link = response.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert match, link
    return match[1]


async def follow(http: httpx.AsyncClient, url: str | None, member: str) -> list[list[str]]:
    """Return all pages from `url` on."""
    pages = []
    while url is not None:
        response = await http.get(url)
        assert response.status_code == 200
        pages.append(response.json()[member])
        url = next_page(response)
        assert len(pages) < 100, "the pages never end"
    return pages


def connect(running: Brokenreg) -> socket.socket:
    host, port = running.host.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def raw_request(running: Brokenreg, data: bytes, *, shut: bool = False) -> httpx.Response:
    """Send these bytes with HOST replaced, optionally close our side, and read one response."""
    with connect(running) as connection:
        connection.sendall(data.replace(b"HOST", running.host.encode()))
        if shut:
            connection.shutdown(socket.SHUT_WR)
        return read_response(connection)


def read_response(connection: socket.socket, method: str = "GET") -> httpx.Response:
    """Read one response with a Content-Length from a socket."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        assert chunk, f"the connection ended after {received!r}"
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    while len(body) < length:
        chunk = connection.recv(65536)
        assert chunk, "the body is not whole"
        body += chunk
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def status(running: Brokenreg) -> dict[str, Any]:
    with urllib.request.urlopen(f"{running.control}/v1/status", timeout=10) as response:
        return json.load(response)


def until_in_flight(running: Brokenreg, count: int) -> None:
    """Wait until `count` exchanges are in flight, for at most 5 s."""
    deadline = time.monotonic() + 5
    while (now := status(running)["in_flight"]) != count:
        assert time.monotonic() < deadline, f"{now} exchanges are in flight, not {count}"


def stored(running: Brokenreg) -> set[str]:
    """Return all files of uploads/ and blobs/ in the data folder."""
    return {
        str(path.relative_to(running.data))
        for folder in ("uploads", "blobs")
        for path in (running.data / folder).rglob("*")
        if path.is_file()
    }
