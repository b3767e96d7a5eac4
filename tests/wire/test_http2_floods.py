"""Floods over HTTP/2: too many cheap frames end the connection of a client, and others are served."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import httpx
import pytest
from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import ContinuationFrame, Frame, GoAwayFrame, HeadersFrame, PriorityFrame, SettingsFrame

from brokenreg.http import http2_frames
from brokenreg.wire import http2
from brokenreg.wire.application import Application
from brokenreg.wire.stream import Stream
from tests.raw_http import HTTP2
from tests.server import Brokenreg
from tests.wire.http2_serving import Peer, Uploads, at_once, data, ping, reset, respond, window_update

CALM = 11
HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "example"), (":path", "/v2/a/b/tags/list")]


def _unknown() -> bytes:
    return b"\0\0\0\xfa\0\0\0\0\0"


def _requests(fields: int = 0, *, malformed: bool = False) -> Iterator[bytes]:
    """Requests and their resets: of valid requests, of requests with many fields, or malformed ones."""
    named = [*HEAD, *[("x", "y")] * fields, *[("connection", "x")] * malformed]
    block = Encoder().encode([NeverIndexedHeaderTuple(*each) for each in named])
    for stream in count(1, 2):
        yield HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]).serialize()
        if not (fields or malformed):
            yield reset(stream).serialize()


def _empty_data() -> Iterator[bytes]:
    yield HeadersFrame(1, Encoder().encode(HEAD), flags=["END_HEADERS"]).serialize()
    while True:
        yield data(1).serialize()


def _continuation(payload: bytes) -> Iterator[bytes]:
    yield HeadersFrame(1, Encoder().encode(HEAD)).serialize()
    while True:
        yield ContinuationFrame(1, payload).serialize()


def _bombs() -> Iterator[bytes]:
    """A field of 3,900 bytes in the table of headers, and 15,000 references to it."""
    field = b"\x40\x01x\x7f" + bytes([(3900 - 127) & 0x7F | 0x80, (3900 - 127) >> 7]) + b"z" * 3900
    block = Encoder().encode(HEAD)
    yield HeadersFrame(1, block + field, flags=["END_HEADERS", "END_STREAM"]).serialize()
    while True:
        yield HeadersFrame(3, block + b"\xbe" * 15_000, flags=["END_HEADERS", "END_STREAM"]).serialize()


def _always(frame: Frame | bytes) -> Callable[[], Iterator[bytes]]:
    sent = frame if isinstance(frame, bytes) else frame.serialize()
    return lambda: iter(lambda: sent, None)


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "ping": _always(ping()),
    "settings": _always(SettingsFrame(settings={SettingsFrame.HEADER_TABLE_SIZE: 100})),
    "priority": _always(PriorityFrame(5)),
    "unknown": _always(_unknown()),
    "window-update": _always(window_update(0, 1)),
    "empty-data": _empty_data,
    "continuation": lambda: _continuation(b"\0\1a\1b" * 3000),
    "empty-continuation": lambda: _continuation(b""),
    "bombs": _bombs,
    "rapid-reset": _requests,
    "many-fields": lambda: _requests(1800),
    "malformed": lambda: _requests(malformed=True),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_ends_its_connection(name: str) -> None:
    async def slow(stream: Stream) -> None:
        await stream.wait(1)

    peer = await Peer(slow).greet()
    flood = FLOODS[name]()
    for _ in range(5000):
        await peer.send(b"".join(next(flood) for _ in range(20)))
        if peer.goaway is not None:
            break
    assert peer.goaway is not None
    assert peer.goaway.error_code == CALM
    assert peer.transport.is_closing()
    assert peer.connection.gone.is_set()
    assert not peer.connection.streams


async def test_a_connection_that_was_closed_is_freed_as_soon_as_it_has_ended() -> None:
    """Each connection with TLS has a buffer of 256 KiB: those of a flood must not wait for a timer."""
    peer = await Peer(at_once(b"hello")).greet()
    await peer.send(*([ping()] * 5000))
    assert peer.transport.is_closing()
    peer.connection.connection_lost(None)
    transport = weakref.ref(peer.transport)
    del peer
    await asyncio.sleep(0)
    gc.collect()
    assert transport() is None


async def test_a_connection_that_is_lost_as_it_says_goodbye_is_not_closed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """asyncio's transport for TLS is unusable after that: the exchanges in flight would never end."""

    def lose(data: object) -> None:
        peer.transport.abort()

    closed: list[str] = []
    peer = await Peer(at_once(b"hello")).greet()
    monkeypatch.setattr(peer.transport, "write", lose)
    monkeypatch.setattr(peer.transport, "close", lambda: closed.append("closed"))
    await peer.send(*([ping()] * 5000))
    assert peer.transport.was_aborted
    assert peer.connection.gone.is_set()
    assert not closed


async def test_ordinary_traffic_is_not_a_flood() -> None:
    """Window updates for read bytes, cancelled requests, and an occasional PING."""
    peer = await Peer(lambda stream: respond(stream, bytes(2**18)), window=16_384).greet()
    for _ in range(30):
        await peer.send(peer.request(), *([ping()] * 5), *([PriorityFrame(peer.stream_id)] * 3))
        for _ in range(16):
            await peer.send(window_update(0, 16_384), window_update(peer.stream_id, 16_384))
        assert len(peer.last().body) == 2**18
    peer.connection.application = Application(Uploads().answer)
    first = peer.stream_id + 2
    await peer.send(*(peer.request("/", "POST", end=False) for _ in range(100)))
    await peer.send(*(reset(first + 2 * number) for number in range(100)))
    assert peer.goaway is None
    assert not peer.connection.tasks


async def test_the_count_decreases_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(http2_frames, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    peer = await Peer(at_once(b"")).greet()
    for _ in range(100):
        now += 1.0
        await peer.send(*([ping()] * 100))
    assert peer.goaway is None
    await peer.send(*([ping()] * 1001))
    assert peer.goaway is not None


async def test_handling_frames_lets_other_tasks_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http2, "_TURN", -1.0)
    peer = await Peer(at_once(b"hello")).greet()
    requests = b"".join(peer.request().serialize() for _ in range(50))
    seen: list[int] = []
    peer.connection.data_received(requests)
    while not peer.transport.reads:
        seen.append(peer.connection.h2.highest_inbound_stream_id)
        peer.connection.data_received(b"")
        await asyncio.sleep(0)
    assert seen == list(range(1, 99, 2))
    await peer.settle()
    assert all(peer.streams[number].ended for number in range(1, 100, 2))


async def test_a_few_requests_are_begun_and_then_others_have_their_turn() -> None:
    """Starting a task takes longer than handling its frame: an upload creates a file."""
    begun: list[int] = []

    async def work(stream: Stream) -> None:
        begun[-1] += 1
        await respond(stream, b"hello")

    peer = await Peer(work).greet()
    peer.connection.data_received(b"".join(peer.request().serialize() for _ in range(50)))
    while not peer.transport.reads:
        begun.append(0)
        await asyncio.sleep(0)
    begun.append(0)
    await peer.settle()
    assert max(begun) == 4
    assert sum(begun) == 50
    assert all(peer.streams[number].ended for number in range(1, 100, 2))


@pytest.mark.parametrize("number", [200, 201])
async def test_requests_with_many_fields(number: int) -> None:
    """`host` counts; a cookie that comes in crumbs is one field (RFC 9113, section 8.2.3)."""
    peer = await Peer(at_once(b"hello")).greet()
    crumbs = [("cookie", f"a{each}=b") for each in range(100)]
    await peer.send(peer.request("/", "GET", [("x", "y")] * (number - 2) + crumbs))
    assert peer.last().status == (200 if number == 200 else 431)
    assert len(peer.inbound.events) == number - 200


class _Flood(threading.Thread):
    """Floods a registry until it ends the connection. It reads responses only if `reads`."""

    def __init__(self, running: Brokenreg, frames: Iterator[bytes]) -> None:
        super().__init__(daemon=True)
        self._connection = HTTP2(running)
        self._frames = frames
        self.code: int | None = None

    def run(self) -> None:
        with self._connection as connection:
            deadline = time.monotonic() + 10
            while connection.ended is None and time.monotonic() < deadline:
                connection.send(b"".join(next(self._frames) for _ in range(100)))
                self._read(0.0)
            connection.ended = None
            self._read(1.0)

    def _read(self, timeout: float) -> None:
        while (frame := self._connection._frame(timeout)) is not None:
            if isinstance(frame, GoAwayFrame):
                self.code = frame.error_code


@pytest.mark.parametrize(
    "name", sorted(FLOODS.keys() - {"window-update"})
)  # the window of this client is full
def test_others_are_served_next_to_a_flood(secure: Brokenreg, name: str) -> None:
    flood = _Flood(secure, FLOODS[name]())
    flood.start()
    with httpx.Client(base_url=secure.url, verify=False) as client:
        while flood.is_alive():
            assert client.get("/v2/").status_code == 200
    flood.join()
    assert flood.code in (CALM, None)  # a reset may overtake it
    status = httpx.get(f"{secure.control}/v1/status").json()
    assert status["in_flight"] == 0
