"""A client that disconnects ends its forwarded request, and a replica that hangs is noticed."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from brokenreg.fleet import silence
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.silence import SilenceWatch
from tests.fleet.fleets import Fleet, name_of
from tests.fleet.test_upload_forwarding import announced, code_of, message_of, session

MIB = 1024 * 1024


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe often. How long a replica may take to respond to a probe does not change."""
    monkeypatch.setattr(silence, "PAUSE", 0.02)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_client_that_disconnects_ends_the_call(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(silence, "PAUSE", 3600.0)
    second = fleet.thread("b")
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(30)
        announced(fleet, "0123abcd", f"127.0.0.1:{other.getsockname()[1]}")
        path = f"/v2/team/app/blobs/uploads/0123abcd-{'0' * 32}?digest=sha256:{'0' * 64}"
        head = f"{method} {path} HTTP/1.1\r\nhost: {second.host}\r\n"
        with socket.create_connection(second.host.split(":")) as client:  # type: ignore[arg-type]
            client.sendall(f"{head}content-length: 4\r\n\r\ndata".encode())
            called, _ = other.accept()
            called.settimeout(30)
            received = b""
            while b"\r\n\r\n" not in received:
                received += called.recv(65536)
        with called:
            while called.recv(65536):
                pass  # the end of the call


@pytest.mark.parametrize("size", [0, 64 * MIB])
def test_a_replica_that_hangs_is_noticed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, hurried: None, size: int
) -> None:
    monkeypatch.setattr(silence, "PATIENCE", 0.2)
    first, second = fleet.process("a"), fleet.thread("b")
    path = session(first, "team/app")
    first.process.send_signal(signal.SIGSTOP)
    response = httpx.patch(f"{second.url}{path}", content=bytes(size), timeout=30)
    assert (response.status_code, code_of(response)) == (503, "UNAVAILABLE")
    assert f"replica {name_of(first)} (" in message_of(response)
    assert "does not respond; try again later" in message_of(response)
    assert response.headers["retry-after"] == "5"
    first.process.send_signal(signal.SIGCONT)


def test_a_slow_client_is_not_a_replica_that_hangs(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, hurried: None
) -> None:
    probed, responds = threading.Semaphore(0), SilenceWatch._responds

    async def counted(watch: SilenceWatch, replica: Replica) -> bool:
        responded = await responds(watch, replica)
        probed.release()
        return responded

    monkeypatch.setattr(SilenceWatch, "_responds", counted)
    first, second = fleet.process("a"), fleet.thread("b")
    path = session(first, "team/app")

    def body() -> Iterator[bytes]:
        yield b"one "
        for _ in range(2 * silence.MOST_MISSED):
            assert probed.acquire(timeout=30)
        yield b"two"

    response = httpx.patch(f"{second.url}{path}", content=body(), timeout=30)
    assert (response.status_code, response.headers["range"]) == (202, "0-6")
