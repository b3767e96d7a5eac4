"""Upstreams that send too fast or too slowly: each response is bounded, and other clients are served."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from brokenreg.proxy.errors import UpstreamSilentError, UpstreamUnreachableError
from brokenreg.proxy.http import bodies as short_body
from brokenreg.proxy.http import transport
from brokenreg.proxy.http.stream import Stream
from tests.hang_guard import hang_guard
from tests.process import brokenreg_process
from tests.proxy.asked import Listening, asking, get
from tests.proxy.scripted import Answer, scripted
from tests.registry.pushing import error_of
from tests.server import brokenreg

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@asynccontextmanager
async def sending(pieces: Callable[[], Iterator[bytes]], pause: float = 0.0) -> AsyncIterator[str]:
    """Yield the URL of a server that sends these pieces, with a pause before each except the first."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def endless(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    """Yield the pieces, and then the last one without end."""
    return lambda: itertools.chain(pieces, itertools.repeat(pieces[-1]))


@asynccontextmanager
async def counting_turns() -> AsyncIterator[list[int]]:
    """Count the iterations of the event loop within the block."""
    turns = [0]

    async def count() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        yield turns
    finally:
        counting.cancel()


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        pytest.param((INTERIM * 100,), r"more than 16 interim responses \(1xx\)", id="interim responses"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100), "512 lines", id="lines"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", b"a: " + b"b" * 9000 + b"\r\n"), "65536 bytes", id="headers"),
        pytest.param((b"HTTP/1.1 200 ", b"a" * 9000), "65536 bytes", id="a status line"),
        pytest.param((b"HTTP/1.1 103 A\r\na: " + b"b" * 9000 + b"\r\n\r\n",), "65536 bytes", id="hints"),
    ],
)
async def test_a_head_is_bounded(pieces: tuple[bytes, ...], words: str) -> None:
    async with sending(endless(*pieces)) as url, asking({"quay.io": url}) as client, asyncio.timeout(5):
        with pytest.raises(UpstreamUnreachableError, match=words):
            await get(client, "quay.io")


async def test_blanks_in_a_transfer_coding_take_no_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: a" + b" " * 60_000 + b"b\r\n\r\n"
    async with sending(lambda: iter((head,))) as url, asking({"quay.io": url}) as client:
        with hang_guard(), pytest.raises(UpstreamUnreachableError, match="Transfer-Encoding a"):
            await get(client, "quay.io")


async def test_interim_responses_are_accepted() -> None:
    for split in (1, 7, 1000):
        answer = INTERIM * 16 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        pieces = [answer[at : at + split] for at in range(0, len(answer), split)]
        async with sending(lambda pieces=pieces: iter(pieces)) as url, asking({"quay.io": url}) as client:
            assert await get(client, "quay.io") == b"{}"


async def test_the_time_for_a_head_is_limited() -> None:
    """The upstream is never silent, because bytes arrive all the time."""
    async with (
        sending(endless(b"HTTP/1.1 103 A\r\n\r\nHTTP/1.1 200 ", b"a"), 0.02) as url,
        asking({"quay.io": url}, patience=0.2) as client,
        asyncio.timeout(5),
    ):
        with pytest.raises(UpstreamSilentError):
            await get(client, "quay.io")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK", b"HTTP/1.1 307 Elsewhere\r\nLocation: /elsewhere"], ids=["200", "307"]
)
async def test_the_time_for_a_short_body_is_limited(head: bytes) -> None:
    async with (
        sending(endless(head + b"\r\nContent-Length: 90\r\n\r\n", b"a"), 0.02) as url,
        asking({"quay.io": url}, patience=0.2) as client,
        asyncio.timeout(5),
    ):
        with pytest.raises(UpstreamSilentError, match=r"quay\.io is too slow: it sent [0-9]+ bytes in 0 s"):
            await get(client, "quay.io")


async def test_a_body_that_is_long_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_body, "_MIN_SPEED", 50)
    answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", *[b"a"] * 20]
    async with sending(lambda: iter(answer), 0.01) as url, asking({"quay.io": url}, patience=0.1) as client:
        assert await get(client, "quay.io") == b"a" * 20


async def test_chunks_without_content_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MOST_FRAMING", 100)
    async with sending(endless(HEAD, b"1\r\na\r\n" * 20)) as url, asking({"quay.io": url}) as client:
        with pytest.raises(UpstreamUnreachableError, match="chunks that have almost no content"):
            await get(client, "quay.io")


async def test_tiny_chunks_do_not_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """They arrive in one read, so that none of them waits for the network."""
    monkeypatch.setattr(transport, "_CHUNKS_PER_TURN", 10)
    answer = HEAD + b"1\r\na\r\n" * 100 + b"0\r\n\r\n"
    async with Listening.at(answer) as upstream, asking({"quay.io": upstream.url}) as client:
        assert await get(client, "quay.io") == b"a" * 100
        async with counting_turns() as turns:
            before = turns[0]
            await get(client, "quay.io")
        plain = turns[0] - before
    assert plain >= 10 * 10, "nine pauses of a millisecond: many turns in each"


async def test_each_read_lets_other_tasks_run() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        stream = Stream(ours)
        async with counting_turns() as turns:
            for _ in range(20):
                theirs.send(b"x")
                assert await stream.read(1, 5) == b"x"
        assert turns[0] >= 20


async def test_bytes_after_a_response_are_not_used() -> None:
    """A surplus response is not used for the next request."""
    unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + unasked
    async with Listening.at(answer) as upstream, asking({"quay.io": upstream.url}) as client:
        for _ in range(3):
            assert await get(client, "quay.io") == b"{}"
        assert len(upstream.connections) == 3


@pytest.mark.parametrize("path", ["manifests/v1", "tags/list"])
def test_a_document_with_too_many_values_is_refused(tmp_path: Path, path: str) -> None:
    """Python parses two million lists in half a second, in which no other thread runs."""
    body = b'{"tags":[' + b"[]," * 600_000 + b"[]]}"
    with scripted() as odd, brokenreg(tmp_path / "data", "--upstream", f"local={odd.url}") as running:
        odd.answers[f"/v2/a/b/{path}"] = Answer(200, {"content-type": "application/json"}, body)
        error = error_of(httpx.get(f"{running.url}/v2/local/a/b/{path}", timeout=10), 502)
    assert "more than 500000 values" in error["message"]


@contextmanager
def flooding(answer: bytes, flood: bytes) -> Iterator[str]:
    """Yield the URL of a server in threads that sends as fast as it can."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(answer)
            while not ended.is_set():
                connection.sendall(flood)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "flood"), [(b"", INTERIM * 500), (HEAD, b"1\r\na\r\n" * 5000)], ids=["interim", "chunks"]
)
def test_a_flood_stops_neither_others_nor_the_end(tmp_path: Path, answer: bytes, flood: bytes) -> None:
    with (
        flooding(answer, flood) as url,
        brokenreg_process(tmp_path / "data", "--upstream", f"local={url}") as running,
        httpx.Client(base_url=running.url, timeout=5) as client,
    ):
        with client.stream("GET", f"/v2/local/a/blobs/sha256:{'0' * 64}") as response:
            assert response.status_code in (200, 502)
            for _ in range(20):
                assert client.get("/v2/").status_code == 200
        assert running.stop(timeout=5) == 0, "within 2 s on a machine that has nothing else to do"
