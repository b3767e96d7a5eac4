"""SIGTERM and SIGINT end a run within 2 s, whatever is in flight."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.process import brokenreg_process
from tests.server import Brokenreg

pytestmark = pytest.mark.slow


def connect(running: Brokenreg, request: bytes = b"") -> socket.socket:
    host, port = running.host.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(request.replace(b"HOST", running.host.encode()))
    return connection


def wait_in_flight(running: Brokenreg, count: int, *, at_least: bool = False) -> None:
    """Wait until that many requests are in flight."""
    deadline = time.monotonic() + 10
    while (there := httpx.get(f"{running.control}/v1/status").json()["in_flight"]) != count:
        if at_least and there > count:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


IN_FLIGHT = {
    "nothing": b"",
    "an idle connection": b"GET /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "a timeout": b"GET /v2/broken/timeout/manifests/dur-1h HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "half a request": b"GET /v2/ HTT",
    "an upload": b"POST /v2/a/blobs/uploads/?digest=sha256:" + b"0" * 64
    + b" HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000000\r\n\r\nxxx",
    "an image that is being hashed": b"GET /v2/broken/random/manifests/layers-100_size-1GiB HTTP/1.1\r\n"
    b"Host: HOST\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("what", sorted(IN_FLIGHT))
def test_ends_whatever_is_in_flight(tmp_path: Path, what: str, number: signal.Signals) -> None:
    request = IN_FLIGHT[what]
    with brokenreg_process(tmp_path / "data") as running, connect(running, request):
        if b"\r\n\r\n" in request and b" /v2/ " not in request:
            wait_in_flight(running, 1)
        assert running.stop(number) == 0


def test_ends_in_the_middle_of_a_download(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data") as running:
        manifest = httpx.get(
            f"{running.url}/v2/broken/random/manifests/layers-1_size-64MiB", timeout=30
        ).json()
        digest = manifest["layers"][0]["digest"]
        request = f"GET /v2/broken/random/blobs/{digest} HTTP/1.1\r\nHost: {running.host}\r\n\r\n"
        with connect(running, request.encode()) as connection:
            assert connection.recv(10) == b"HTTP/1.1 2"
            assert running.stop() == 0


def test_what_is_in_flight_may_finish(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data") as running:
        request = b"GET /v2/broken/timeout/manifests/dur-400ms HTTP/1.1\r\nHost: HOST\r\n\r\n"
        wait_in_flight(running, 0)  # the control API is imported for the first request
        with connect(running, request) as connection:
            wait_in_flight(running, 1)
            assert running.stop() == 0
            assert b" 408 " in connection.recv(4096)


def test_what_ends_with_the_server_is_printed(tmp_path: Path) -> None:
    request = IN_FLIGHT["a timeout"]
    with brokenreg_process(tmp_path / "data") as running, connect(running, request):
        wait_in_flight(running, 1)
        assert running.stop() == 0
    (line,) = [line for line in running.lines if line["event"] == "exchange"]
    assert (line["faults"], line["status"], line["ended"]) == (["timeout"], None, "aborted")


def test_a_response_that_stands_still_ends_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with brokenreg_process(tmp_path / "data") as running:
        manifest = httpx.get(f"{running.url}/v2/broken/stall/manifests/at-1000", timeout=30).json()
        path = f"/v2/broken/stall/blobs/{manifest['layers'][0]['digest']}"
        with connect(running, f"GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n".encode()) as connection:
            assert connection.recv(100)
            assert running.stop() == 0
    assert capfd.readouterr().err == ""
    (line,) = [line for line in running.lines if line.get("path") == path]
    assert (line["faults"], line["ended"]) == (["stall"], "aborted")


class _Endless(socketserver.StreamRequestHandler):
    """Sends a blob of 50 MiB very slowly."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n" + bytes(100_000))
            while True:
                self.wfile.write(bytes(10_000))
                time.sleep(0.02)


@contextlib.contextmanager
def endless_upstream() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Endless) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def ask_until(running: Brokenreg, done: threading.Event, number: int) -> None:
    """Request blobs one after the other, each on a new connection, even while the registry stops."""
    for count in itertools.count():
        if done.is_set():
            return
        digest = hashlib.sha256(f"{number} {count}".encode()).hexdigest()
        with contextlib.suppress(OSError):
            request = f"GET /v2/local/a/blobs/sha256:{digest} HTTP/1.1\r\nHost: HOST\r\n\r\n"
            with connect(running, request.encode()) as connection:
                connection.recv(1000)


def test_ends_whatever_begins_meanwhile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """This covers new downloads, one without a client, half a push, a held response and a hashing job."""
    done = threading.Event()
    with endless_upstream() as upstream, ThreadPoolExecutor(3) as clients, ExitStack() as stack:
        arguments = ("--upstream", f"local={upstream}")
        running = stack.enter_context(brokenreg_process(tmp_path / "data", *arguments))
        stack.callback(done.set)
        with httpx.Client(base_url=running.control) as control:
            held = {"expression": "endpoint:tags"}
            assert control.post("/v1/breakpoints", json=held).is_success
        for request in (
            IN_FLIGHT["an upload"],
            IN_FLIGHT["an image that is being hashed"],
            b"GET /v2/held/a/tags/list HTTP/1.1\r\nHost: HOST\r\n\r\n",
        ):
            stack.enter_context(connect(running, request))
        for number in range(3):
            clients.submit(ask_until, running, done, number)
        wait_in_flight(running, 3, at_least=True)
        assert running.stop(timeout=10) == 0
        done.set()
    assert capfd.readouterr().err == ""
    assert list((tmp_path / "data" / "blobs" / "sha256").iterdir()) == []
    assert not list((tmp_path / "data" / "uploads").iterdir()), "something is half written"


_SLOW_DISK = """
import os, time

fsync = os.fsync
os.fsync = lambda descriptor: (time.sleep({seconds}), fsync(descriptor))
"""


@pytest.mark.parametrize("seconds", [1.0, 60.0], ids=["slow", "hangs"])
def test_a_push_that_waits_for_the_disk_neither_delays_the_end_nor_prints_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], seconds: float
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_SLOW_DISK.format(seconds=seconds))
    content = b"pushed while it stops"
    with brokenreg_process(tmp_path / "data", PYTHONPATH=str(tmp_path)) as running:
        path = f"/v2/a/blobs/uploads/?digest=sha256:{hashlib.sha256(content).hexdigest()}"
        head = f"POST {path} HTTP/1.1\r\nHost: HOST\r\nContent-Length: {len(content)}\r\n\r\n"
        with connect(running, head.encode() + content) as connection:
            wait_in_flight(running, 1)
            assert running.stop(timeout=10) == 0
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(100) == b""
    assert capfd.readouterr().err == ""
    with brokenreg_process(tmp_path / "data") as running:  # what is left is removed
        assert httpx.get(f"{running.url}/v2/a/blobs/{path.partition('=')[2]}").status_code == 404
        assert not list((tmp_path / "data" / "uploads").iterdir())
