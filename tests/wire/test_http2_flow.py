"""Flow control of HTTP/2: sent bytes, bytes that wait in memory, and memory that is freed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.http.asgi import ZERO_COPY
from brokenreg.wire.stream import CHUNK, Stream
from tests.process import brokenreg_process
from tests.raw_http import HTTP2
from tests.server import Brokenreg
from tests.wire.http2_serving import Peer, at_once, initial_window, reset, respond, window_update

CONTENT = os.urandom(300_000)
LAYER = "layers-1_size-1gib"
STEPS = st.tuples(st.sampled_from(["stream", "connection", "initial"]), st.integers(1, 90_000))


async def _all(peer: Peer, wanted: int) -> None:
    """Wait until that much of the last body has arrived."""
    for _ in range(200):
        if len(peer.last().body) >= wanted:
            return
        await asyncio.sleep(0.001)
        await peer.settle()


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=25), st.integers(1, 9), st.booleans())
def test_the_window_is_respected_and_all_bytes_are_sent(
    steps: list[tuple[str, int]], parts: int, from_file: bool
) -> None:
    async def run() -> None:
        peer = await Peer(
            _file if from_file else lambda stream: respond(stream, CONTENT, parts), window=0
        ).greet()
        await peer.send(peer.request())
        initial, stream, connection = 0, 0, 65535
        for kind, size in steps:
            if kind == "initial":
                initial = size
                await peer.send(initial_window(size))
            elif kind == "stream":
                stream += size
                await peer.send(window_update(1, size))
            else:
                connection += size
                await peer.send(window_update(0, size))
            largest = max([initial, *(size for kind, size in steps if kind == "initial")])
            assert len(peer.last().body) <= min(largest + stream, connection)
        await peer.send(window_update(0, 2**20), window_update(1, 2**20))
        await _all(peer, len(CONTENT))
        assert (peer.last().body, peer.last().ended) == (CONTENT, True)

    asyncio.run(run())


async def _file(stream: Stream) -> None:
    path = Path(__file__).parent / f".content-{os.getpid()}"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        path.unlink()
        await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        message = {"type": ZERO_COPY, "file": file, "more_body": True}
        await stream.send({**message, "offset": 0, "count": 100_000})
        await stream.send({**message, "offset": 100_000, "count": 200_000})
        await stream.send({"type": "http.response.body", "body": b"", "more_body": False})
        assert stream.file_bytes == len(CONTENT)


async def test_what_does_not_fit_the_window_is_sent_later() -> None:
    peer = await Peer(at_once(CONTENT)).greet()
    await peer.send(peer.request())
    assert len(peer.last().body) == 65535
    await peer.send(window_update(0, 2**20), window_update(1, 2**20))
    assert (peer.last().body, peer.last().ended) == (CONTENT, True)


async def test_a_stream_without_a_window_does_not_stop_others() -> None:
    peer = await Peer(lambda stream: respond(stream, CONTENT), window=0).greet()
    await peer.send(peer.request("/stalled"), window_update(0, 2**20))
    await peer.send(peer.request("/fast"), window_update(3, 2**20))
    assert (peer.streams[1].body, peer.streams[3].body) == (b"", CONTENT)


async def test_room_is_the_number_of_bytes_that_can_be_sent() -> None:
    rooms: list[int] = []

    async def answer(stream: Stream) -> None:
        await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            rooms.append(await stream.room())
            await stream.send({"type": "http.response.body", "body": bytes(rooms[-1]), "more_body": True})

    peer = await Peer(answer, window=0).greet()
    await peer.send(peer.request())
    assert rooms == []
    await peer.send(window_update(1, 1000))
    assert rooms == [1000]
    peer.connection.pause_writing()
    await peer.send(window_update(0, 2**30), window_update(1, 10_000_000))
    assert rooms == [1000]
    peer.connection.resume_writing()
    await peer.settle()
    assert rooms[1] == CHUNK
    assert max(rooms) == CHUNK


async def test_waiting_bytes_of_a_connection_are_limited() -> None:
    rooms: list[int] = []

    async def answer(stream: Stream) -> None:
        rooms.append(await stream.room())
        await stream.gone.wait()

    peer = await Peer(answer, window=2**30).greet()
    await peer.send(window_update(0, 2**30))
    await peer.send(*(peer.request() for _ in range(100)))
    assert len(rooms) == 100
    assert min(rooms) >= 16 * 1024
    assert sum(rooms) <= 4 * 1024 * 1024
    await peer.send(*(reset(number) for number in range(1, 200, 2)))
    await peer.send(peer.request())
    assert rooms[-1] == CHUNK


async def test_reading_pauses_if_a_client_does_not_read() -> None:
    """Otherwise replies to PING, or whole responses, would pile up."""
    peer = await Peer(at_once(b"")).greet()
    peer.transport.unsent = 2**20 + 1
    await peer.send(peer.request())
    assert not peer.transport.reads
    peer.transport.unsent = 0
    peer.connection.resume_writing()
    assert peer.transport.reads


async def test_responses_wait_while_the_transport_is_full() -> None:
    peer = await Peer(at_once(bytes(50_000))).greet()
    peer.connection.pause_writing()
    await peer.send(peer.request())
    assert (peer.last().status, peer.last().body) == (200, b"")
    peer.connection.resume_writing()
    await peer.settle()
    assert (len(peer.last().body), peer.last().ended) == (50_000, True)


def _digest(running: Brokenreg, image: str = LAYER) -> str:
    manifest = httpx.get(f"{running.url}/v2/broken/random/manifests/{image}", verify=False).json()
    return str(manifest["layers"][0]["digest"])


def _stall(running: Brokenreg, streams: int, *, window: int) -> HTTP2:
    connection = HTTP2(running, window=window)
    path = f"/v2/broken/random/blobs/{_digest(running)}"
    for _ in range(streams):
        connection.begin(path)
    return connection


def _until(running: Brokenreg, **wanted: int) -> dict[str, Any]:
    """Wait until the status has that value, for at most 2 s."""
    deadline = time.monotonic() + 2
    while True:
        status: dict[str, Any] = httpx.get(f"{running.control}/v1/status").json()
        if all(status[name] == value for name, value in wanted.items()):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.02)


@pytest.mark.slow
def test_stalled_streams_cost_no_memory_and_killed_clients_leave_nothing(tmp_path: Path) -> None:
    with brokenreg_process(tmp_path / "data", "--tls", "self-signed") as running:
        descriptors = Path(f"/proc/{running.process.pid}/fd")
        _until(running, in_flight=0, connections=0)
        _digest(running)
        before, resident = len(list(descriptors.iterdir())), running.resident()
        stalled = [_stall(running, 4, window=0), *(_stall(running, 20, window=65_535) for _ in range(4))]
        _until(running, in_flight=84)
        time.sleep(1)
        assert running.resident() - resident < 20 * 1024 * 1024
        for connection in stalled:
            connection.socket.close()
        _kill_curl(running)
        _until(running, in_flight=0, connections=0)
        deadline = time.monotonic() + 2
        while len(list(descriptors.iterdir())) > before:  # the last request for the status closes its own
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.stop()
    blobs = [line for line in running.lines if line.get("endpoint") == "layer"]
    assert len(blobs) == 85
    assert {line["ended"] for line in blobs} == {"disconnected"}


def _kill_curl(running: Brokenreg) -> None:
    url = f"{running.url}/v2/broken/random/blobs/{_digest(running)}"
    command = ["curl", "-sk", "--http2", "--limit-rate", "500K", "-o", "/dev/null", url]
    curl = subprocess.Popen(command)
    _until(running, in_flight=1)
    curl.send_signal(signal.SIGKILL)
    curl.wait()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_held_response_ends_with_its_client(own_registry: Brokenreg, how: str) -> None:
    rule = {"fault": {"type": "hold", "at": "64KiB"}, "match": {"endpoint": "layer"}}
    assert httpx.post(f"{own_registry.control}/v1/rules", json=rule).status_code == 201
    with HTTP2(own_registry) as connection:
        stream = connection.begin(f"/v2/broken/random/blobs/{_digest(own_registry, 'layers-1_size-1mib')}")
        _until(own_registry, in_flight=1)
        if how == "reset":
            connection.send(reset(stream).serialize())
            _until(own_registry, in_flight=0, connections=1)
        else:
            connection.socket.close()
            _until(own_registry, in_flight=0, connections=0)
    own_registry.stop()
    assert own_registry.lines[-1]["ended"] == "disconnected"


def test_a_response_that_does_not_fit_the_window_has_not_ended(own_registry: Brokenreg) -> None:
    with HTTP2(own_registry, window=100) as connection:
        connection.begin("/v2/broken/random/manifests/layers-1_size-1mib")
        _until(own_registry, in_flight=1)
        connection.socket.close()
        _until(own_registry, in_flight=0, connections=0)
    own_registry.stop()
    assert own_registry.lines[-1]["ended"] == "disconnected"
