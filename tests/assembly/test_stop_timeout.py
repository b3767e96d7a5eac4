"""`--stop-timeout`: requests in flight may end, and nothing else delays the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from brokenreg.assembly import stopping
from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from tests.process import BrokenregProcess, brokenreg_process

CONTENT = b"one two"
DIGEST = "sha256:8ab63e29a4ba14e4e1688f9c15e5af90895421358c945b0431f85d66977bd3d2"


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[BrokenregProcess]:
    """A brokenreg that waits for requests in flight, but has no lead."""
    with brokenreg_process(tmp_path / "data", "--stop-timeout", "9s") as running:
        yield running


def connected(running: BrokenregProcess, request: str) -> socket.socket:
    host, port = running.host.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(request.replace("HOST", running.host).encode())
    return connection


def until(running: BrokenregProcess, what: str) -> None:
    """Wait until the status counts one exchange that is in flight, or held."""
    deadline = time.monotonic() + 30
    while not httpx.get(f"{running.control}/v1/status").json()[what]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_refused(running: BrokenregProcess) -> None:
    """Wait until no more connections are accepted."""
    deadline = time.monotonic() + 30
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < deadline:
            connected(running, "").close()
            time.sleep(0.01)
        raise AssertionError("connections are still accepted")


def test_an_upload_in_flight_ends_regularly(patient: BrokenregProcess) -> None:
    request = f"POST /v2/a/blobs/uploads/?digest={DIGEST} HTTP/1.1\r\nHost: HOST\r\nContent-Length: 7\r\n\r\n"
    with (
        connected(patient, request) as client,
        connected(patient, "GET /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n") as idle,
    ):
        client.sendall(CONTENT[:4])
        assert idle.recv(12) == b"HTTP/1.1 200"
        until(patient, "in_flight")
        patient.process.terminate()
        until_refused(patient)
        client.sendall(CONTENT[4:])
        response = client.makefile("rb").read()
        assert response.startswith(b"HTTP/1.1 201 ")
        assert b"\r\nconnection: close\r\n" in response.lower()
        assert patient.process.wait(30) == 0, "the idle connection does not delay the end"


def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    request = "GET /v2/broken/timeout/manifests/dur-1h HTTP/1.1\r\nHost: HOST\r\n\r\n"
    with (
        brokenreg_process(tmp_path / "data", "--stop-timeout", "1h") as running,
        connected(running, request),
    ):
        until(running, "in_flight")
        running.process.terminate()
        while httpx.get(f"{running.url}/healthz").status_code == 200:
            time.sleep(0.01)
        assert running.stop() == 0


def test_what_is_held_does_not_delay_the_end(patient: BrokenregProcess) -> None:
    assert (
        httpx.post(f"{patient.control}/v1/breakpoints", json={"expression": "status:200"}).status_code == 201
    )
    with connected(patient, "GET /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n") as client:
        until(patient, "held")
        patient.process.terminate()
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
    assert patient.process.wait(30) == 0


@pytest.mark.parametrize("http2", [False, True])
async def test_load_balancers_notice_before_connections_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http2: bool
) -> None:
    monkeypatch.setattr(stopping, "LEAD", 3600.0)
    settings = Settings(listen=["127.0.0.1:0"], control="off", data=tmp_path, offline=True, stop_timeout="1h")
    hurried, leaving = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with Server.running(settings, Diagnostics(), hurried=hurried) as server:
            url.set_result(server.registry_urls[0])
            await leaving.wait()

    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run())
    async with httpx.AsyncClient(base_url=await url, http1=not http2, http2=http2, timeout=30) as client:
        assert (await client.get("/healthz")).status_code == 200
        leaving.set()
        while (await client.get("/healthz")).status_code == 200:  # noqa: ASYNC110 - as a load balancer
            await asyncio.sleep(0)
        for _ in range(3):
            assert (await client.get("/healthz")).status_code == 503
            response = await client.get("/v2/")
            assert response.status_code == 200
            assert http2 or response.headers["connection"] == "close"
    assert not running.done()
    hurried.set()
    await asyncio.wait_for(running, 30)
