"""More clients than file descriptors: connected clients are served, others wait, and the log stays short."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from brokenreg.listening.listen_socket import ListenSocket
from tests.process import BrokenregProcess, brokenreg_process

LIMIT = 128
CLIENTS = 300
BLOB = bytes(range(256)) * 2048
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"


@contextmanager
def few_descriptors(data: Path) -> Iterator[BrokenregProcess]:
    """A registry that may open only few files, and has a blob."""
    with brokenreg_process(data) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        pushed = httpx.post(f"{running.url}/v2/few/blobs/uploads/", params={"digest": DIGEST}, content=BLOB)
        assert pushed.status_code == 201
        yield running


def second_origin(running: BrokenregProcess) -> str:
    url: str = httpx.get(f"{running.control}/v1/status").json()["second_origin"]
    return url


def control(running: BrokenregProcess) -> str:
    return running.control


@contextmanager
def connected(url: str, count: int = CLIENTS) -> Iterator[list[http.client.HTTPConnection]]:
    """Open `count` connections within the block."""
    address = urlsplit(url)
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
            connection.connect()
            opened.append(stack.enter_context(closing(connection)))
        yield opened


def request(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes]:
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, response.read()


def processor_time(running: BrokenregProcess) -> float:
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(running: BrokenregProcess) -> set[int]:
    return {int(file.name) for file in Path(f"/proc/{running.process.pid}/fd").iterdir()}


def until_served(url: str, path: str) -> None:
    """Open connections until one is served."""
    deadline = time.monotonic() + 5
    while True:
        try:
            httpx.get(f"{url}{path}", timeout=1)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "new clients are not served"
        else:
            return


@pytest.mark.slow
def test_connected_clients_are_served_while_others_wait(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with few_descriptors(tmp_path) as running:
        with connected(running.url) as clients:
            time.sleep(1)
            used = processor_time(running)
            time.sleep(2)
            assert processor_time(running) - used < 0.2
            for number, client in enumerate(clients[:20]):
                assert request(client, "/v2/few/blobs/" + DIGEST) == (200, BLOB)
                content = number.to_bytes(4, "big")
                path = f"/v2/few/blobs/uploads/?digest=sha256:{hashlib.sha256(content).hexdigest()}"
                assert request(client, path, "POST", content)[0] == 201
            assert httpx.get(f"{running.control}/v1/status").status_code == 200
        until_served(running.url, "/v2/")
        time.sleep(3)
        until_served(running.url, "/v2/")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "new connections wait until other clients disconnect: 96 of 128 file descriptors" in lines[0]
    assert "`ulimit -n 512`" in lines[0]
    assert lines[1].endswith("new connections are accepted again: file descriptors are free")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url_of", "path", "status"), [(second_origin, "/", 403), (control, "/v1/status", 200)]
)
def test_other_listeners_pause_too(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    url_of: Callable[[BrokenregProcess], str],
    path: str,
    status: int,
) -> None:
    with few_descriptors(tmp_path) as running:
        url = url_of(running)
        with connected(url) as clients:
            time.sleep(1)
            used = processor_time(running)
            time.sleep(1)
            assert processor_time(running) - used < 0.2
            assert {request(client, path)[0] for client in clients[:20]} == {status}
            assert len(open_files(running)) < LIMIT
        until_served(url, path)
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_requests_without_a_free_descriptor_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with few_descriptors(tmp_path) as running, connected(running.url, 20) as clients:
        assert request(clients[0], "/v2/")[0] == 200
        time.sleep(0.3)  # until the connection of the push is closed
        none_free = min(set(range(LIMIT)) - open_files(running))
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (none_free, LIMIT))
        for client in clients[:10]:
            status, body = request(client, "/v2/few/blobs/" + DIGEST)
            assert (status, b"ulimit -n" in body) == (503, True)
            status, body = request(client, f"/v2/few/blobs/uploads/?digest={DIGEST}", "POST", BLOB)
            assert (status, b"ulimit -n" in body) == (503, True)
            assert request(client, "/v2/few/tags/list")[0] == 200
        with connected(running.url, 1):
            time.sleep(0.2)
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        assert request(clients[0], "/v2/few/blobs/" + DIGEST) == (200, BLOB)
        until_served(running.url, "/v2/")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("new connections wait until other clients disconnect: Too many open files")


@pytest.mark.slow
def test_stop_while_accepting_pauses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An exchange in flight makes the shutdown longer than the rest of the pause of 1 s."""
    with few_descriptors(tmp_path) as running, connected(running.url) as clients:
        clients[0].request("GET", "/v2/broken/timeout/manifests/dur-60s")
        time.sleep(0.8)
        assert running.stop() == 0
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.ENETDOWN, errno.EPROTO, errno.EHOSTUNREACH, errno.EPERM])
def test_network_errors_of_a_client_are_ignored(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Linux reports errors of the new connection's network from accept(2)."""

    def fail(_: socket.socket) -> None:
        raise OSError(number, "failed")

    with ListenSocket(socket.AF_INET, socket.SOCK_STREAM, 0, over_tls=False) as listening:
        monkeypatch.setattr(socket.socket, "accept", fail)
        with pytest.raises(BlockingIOError):
            listening.accept()
