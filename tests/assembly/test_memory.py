"""Memory is bounded, regardless of the number and size of transfers."""

from __future__ import annotations

import hashlib
import http.client
import random
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.process import BrokenregProcess, brokenreg_process

pytestmark = pytest.mark.slow

CLIENTS = 8
SIZE = 96 << 20
LIMIT = 120 << 20


def push(running: BrokenregProcess, number: int) -> str:
    """Push a unique blob, and pull it."""
    block = random.Random(number).randbytes(1 << 20)
    hasher = hashlib.sha256()
    for _ in range(SIZE >> 20):
        hasher.update(block)
    digest = f"sha256:{hasher.hexdigest()}"
    location = httpx.post(f"{running.url}/v2/memory/{number}/blobs/uploads/").headers["location"]
    connection = http.client.HTTPConnection(running.host, timeout=60)
    body = (block for _ in range(SIZE >> 20))
    headers = {"Content-Length": str(SIZE), "Content-Type": "application/octet-stream"}
    connection.request("PUT", f"{location}?digest={digest}", body, headers)
    response = connection.getresponse()
    assert (response.status, response.read()) == (201, b"")
    return digest


def pull(running: BrokenregProcess, number: int, digest: str) -> str:
    connection = http.client.HTTPConnection(running.host, timeout=60)
    connection.request("GET", f"/v2/memory/{number}/blobs/{digest}")
    response = connection.getresponse()
    hasher = hashlib.sha256()
    while chunk := response.read(1 << 20):
        hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def test_eight_large_pushes_and_pulls_at_once(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data") as running, ThreadPoolExecutor(2 * CLIENTS) as pool:
        first = list(pool.map(lambda number: push(running, number), range(CLIENTS)))
        pushing = [pool.submit(push, running, number) for number in range(CLIENTS, 2 * CLIENTS)]
        pulling = [pool.submit(pull, running, number, digest) for number, digest in enumerate(first)]
        assert [pulled.result() for pulled in pulling] == first
        assert len({pushed.result() for pushed in pushing}) == CLIENTS
        assert running.resident() < LIMIT


def test_an_unfinished_manifest_of_any_size_is_not_gathered(tmp_path: Path) -> None:
    """The client gets a 413 after 4 MiB; the rest is read and discarded."""
    with brokenreg_process(tmp_path / "data") as running:
        before = running.resident()
        body = (b"x" * (1 << 20) for _ in range(48))
        response = httpx.put(f"{running.url}/v2/memory/manifests/big", content=body, timeout=30)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (413, "SIZE_INVALID")
        assert running.resident() - before < 24 << 20


RESET = struct.pack("ii", 1, 0)


def disconnect(running: BrokenregProcess, path: str) -> None:
    """Request a large body, read some of it, and reset the connection."""
    host, _, port = running.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {running.host}\r\n\r\n".encode())
        received = 0
        while received < 65536:
            received += len(connection.recv(65536))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def test_a_client_that_disconnects_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nothing may wait for a garbage collection, because that takes long under load."""
    with brokenreg_process(tmp_path / "data") as running, ThreadPoolExecutor(6) as pool:
        manifest = httpx.get(f"{running.url}/v2/broken/random/manifests/layers-1_size-4mib").json()
        path = f"/v2/broken/random/blobs/{manifest['layers'][0]['digest']}"
        list(pool.map(lambda _: disconnect(running, path), range(100)))
        before = running.resident()
        list(pool.map(lambda _: disconnect(running, path), range(500)))
        assert running.resident() - before < 20 << 20
