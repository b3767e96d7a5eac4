"""HTTP/2, frame by frame: requests, bodies, responses, and how streams and connections end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.http.asgi import CUT, ClientDisconnectedError, End, Scope
from brokenreg.listening.connection_events import MalformedRequest
from brokenreg.wire import http2
from brokenreg.wire.stream import Stream
from tests.wire.http2_serving import Peer, Reset, Uploads, at_once, data, ping, reset, respond

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED, CALM = 1, 3, 5, 6, 7, 11
PSEUDO = {":method": "GET", ":scheme": "https", ":authority": "example", ":path": "/v2/"}


def head(**changes: str | None) -> list[tuple[str, str]]:
    """The pseudo-header fields of a request, changed."""
    changed = {**PSEUDO, **{f":{name}": value for name, value in changes.items()}}
    return [(name, value) for name, value in changed.items() if value is not None]


async def test_a_request_and_its_response() -> None:
    scopes: list[Scope] = []

    def answer(stream: Stream) -> None:
        scopes.append(stream.scope)
        stream.respond(200, ((b"Content-Type", b" text/plain "), (b"connection", b"close")), b"hello")

    peer = await Peer(answer).greet()
    await peer.send(peer.request("/a%20b?n=%C3%A9", "get", [("accept", "*/*"), ("cookie", "a=1")]))
    (scope,) = scopes
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("GET", "/a b", b"/a%20b")
    assert (scope["query_string"], scope["http_version"], scope["scheme"]) == (b"n=%C3%A9", "2", "http")
    assert scope["headers"] == [(b"host", b"example"), (b"accept", b"*/*"), (b"cookie", b"a=1")]
    received = peer.last()
    assert (received.status, received.body, received.ended) == (200, b"hello", True)
    assert received.fields[1] == ("content-type", "text/plain")
    assert [name for name, _ in received.fields] == [":status", "content-type", "date"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_responses_that_have_no_body(method: str, status: int) -> None:
    peer = await Peer(at_once(b"hello", status)).greet()
    await peer.send(peer.request("/", method))
    assert (peer.last().status, peer.last().body, peer.last().ended) == (status, b"", True)
    peer = await Peer(lambda stream: respond(stream, b"hello")).greet()
    await peer.send(peer.request("/", "HEAD"))
    assert (peer.last().body, peer.last().ended) == (b"", True)


async def test_large_heads_of_responses_are_continued() -> None:
    value = b"x" * 40_000
    peer = Peer(lambda stream: stream.respond(200, ((b"a", value),), b""))
    await peer.greet()
    await peer.send(peer.request())
    assert (peer.count(HeadersFrame), peer.count(ContinuationFrame)) == (1, 2)


async def test_clients_may_forbid_the_table_of_headers() -> None:
    """The block after such a change begins with the new size (RFC 7541, section 4.2)."""
    peer = await Peer(at_once(b"")).greet()
    for _ in range(2):
        await peer.send(SettingsFrame(settings={SettingsFrame.HEADER_TABLE_SIZE: 0}), peer.request())
        assert [each for each in peer.frames if isinstance(each, HeadersFrame)][-1].data[0] == 0x20
    assert peer.last().status == 200


@settings(max_examples=60)
@given(st.lists(st.integers(1, 2500), max_size=12))
def test_any_split_of_the_input_gives_the_same(cuts: list[int]) -> None:
    async def run(cuts: list[int]) -> tuple[dict[str, bytes], dict[int, Any]]:
        uploads = Uploads()
        peer = Peer(uploads.answer)
        script = [
            peer.request("/1", "POST", end=False),
            data(1, b"a" * 700),
            ping(1),
            data(1, b"b" * 900),
            peer.request("/2"),
            data(1, end=True),
            peer.request("/3", "PUT", [("content-length", "3")], end=False),
            data(5, b"xyz", end=True),
        ]
        sent = peer.greeting + b"".join(each.serialize() for each in script)
        at = 0
        for cut in [*cuts, len(sent)]:
            await peer.send(sent[at : at + cut])
            at += cut
        return uploads.bodies, {number: (each.body, each.ended) for number, each in peer.streams.items()}

    bodies, streams = asyncio.run(run(cuts))
    assert bodies == {"/1": b"a" * 700 + b"b" * 900, "/2": b"", "/3": b"xyz"}
    assert streams == {0: (b"", False), 1: (b"1600", True), 3: (b"0", True), 5: (b"3", True)}


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40)))
)
def test_no_frames_make_it_fail(frames: list[tuple[int, int, int, bytes]]) -> None:
    async def run() -> None:
        peer = await Peer(Uploads().answer).greet()
        await peer.send(peer.request("/", "POST", end=False))
        for kind, flags, stream, payload in frames:
            size = len(payload).to_bytes(3, "big")
            await peer.send(size + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)
        peer.connection.connection_lost(None)
        assert await asyncio.wait_for(peer.connection.ended, 5) is None

    asyncio.run(run())


@pytest.mark.parametrize(
    "fields",
    [
        head(method="CONNECT", scheme=None, path=None),
        [*head(method="CONNECT"), (":protocol", "websocket")],
        head(method=None),
        head(method="GET /x"),
        head(method="GÉT"),
        head(scheme=None),
        head(path=None),
        head(path=""),
        head(path="v2/"),
        head(path="http://example/v2/"),
        head(path="/é"),
        head(path="/v2/ HTTP/1.1"),
        head(path="/v2/\0"),
        head(authority=None),
        [*head(), ("host", "another")],
        [*head(authority=None), ("host", "a"), ("host", "b")],
        [*head(), (":path", "/again")],
        [*head(), ("a", "b"), (":late", "x")],
        [*head(), (":status", "200")],
        [*head(), ("A", "b")],
        [*head(), ("a b", "c")],
        [*head(), ("", "c")],
        [*head(), ("a", "b\nc")],
        [*head(), ("a", " b")],
        [*head(), ("connection", "close")],
        [*head(), ("transfer-encoding", "chunked")],
        [*head(), ("te", "gzip")],
        [*head(), ("content-length", "5")],
    ],
)
async def test_malformed_requests_reset_their_stream(fields: list[tuple[str, str]]) -> None:
    """The connection continues, and shows the reason (RFC 9113, section 8.1.1)."""
    peer = await Peer(at_once(b"hello")).greet()
    block = peer.head([])
    assert isinstance(block, HeadersFrame)
    block.data = b"".join(
        b"\0" + bytes([len(name.encode())]) + name.encode() + bytes([len(value.encode())]) + value.encode()
        for name, value in fields
    )
    await peer.send(block)
    assert (peer.last().ended, peer.last().fields) == (Reset(PROTOCOL_ERROR), [])
    assert isinstance(peer.inbound.events[0][0], MalformedRequest)
    await peer.send(peer.request())
    assert peer.last().status == 200


async def test_no_reference_cycles_are_left() -> None:
    uploads = Uploads()
    streams: list[weakref.ref[Stream]] = []

    def answer(stream: Stream) -> Coroutine[Any, Any, None]:
        streams.append(weakref.ref(stream))
        return uploads.answer(stream)

    gc.disable()
    try:
        peer = await Peer(answer).greet()
        await peer.send(peer.request())
        await peer.send(peer.request("/", "PUT", end=False), data(peer.stream_id, b"abc", end=True))
        await peer.send(peer.request("/", "PUT", end=False), data(peer.stream_id, b"abc"))
        await peer.send(reset(peer.stream_id))
        uploads.scopes.clear()
        assert [stream() for stream in streams] == [None] * 3
    finally:
        gc.enable()


async def test_memory_for_malformed_requests_is_limited() -> None:
    peer = await Peer(at_once(b"")).greet()
    for _ in range(200):
        await peer.send(peer.head([*head(), (f":{'x' * 10_000}", "")]))
        peer.connection.floods.credit(100)
    assert peer.last().ended == Reset(PROTOCOL_ERROR)
    reasons = [event.reason for event, _ in peer.inbound.events if isinstance(event, MalformedRequest)]
    assert 0 < sum(map(len, reasons)) < 10_000


async def test_heads_that_are_allowed() -> None:
    peer = await Peer(at_once(b"")).greet()
    for fields in (
        head(path="*", method="OPTIONS"),
        [*head(authority=None), ("host", "example")],
        [*head(), ("host", "example")],
        [*head(), ("te", "trailers"), ("x", ""), ("y", "é")],
    ):
        await peer.send(peer.head(fields))
        assert peer.last().status == 200


async def test_bodies_are_as_long_as_announced() -> None:
    for parts in ([b"abcd"], [b"ab", b"cd"], [b"ab"], [b""]):
        uploads = Uploads()
        peer = await Peer(uploads.answer).greet()
        await peer.send(peer.request("/", "POST", [("content-length", "3")], end=False))
        await peer.send(*(data(1, part, end=part is parts[-1]) for part in parts))
        assert peer.last().ended == Reset(PROTOCOL_ERROR)
        assert uploads.disconnected == ["/"]
        await peer.send(peer.request("/after"))
        assert peer.last().body == b"0"


async def test_bodies_with_padding_and_with_trailers() -> None:
    uploads = Uploads()
    peer = await Peer(uploads.answer).greet()
    await peer.send(peer.request("/", "POST", [("content-length", "3")], end=False))
    await peer.send(DataFrame(1, b"abc", pad_length=200, flags=["PADDED"]))
    trailers = HeadersFrame(1, peer.encoder.encode([("a", "b")]), flags=["END_HEADERS", "END_STREAM"])
    await peer.send(trailers)
    assert (peer.last().body, uploads.bodies) == (b"3", {"/": b"abc"})
    await peer.send(data(1, b"more"))
    assert peer.goaway is None


async def test_data_after_the_response_is_dropped_and_counts_for_the_window() -> None:
    early = ((b"content-length", b"5"),)
    peer = await Peer(lambda stream: stream.respond(200, early, b"early")).greet()
    await peer.send(peer.request("/", "POST", end=False))
    assert (peer.last().body, peer.last().ended) == (b"early", True)
    for _ in range(1024):
        await peer.send(data(1, bytes(16_384)))
    updates = [each for each in peer.frames if isinstance(each, WindowUpdateFrame)]
    assert sum(each.window_increment for each in updates if not each.stream_id) >= 16 * 1024 * 1024
    await peer.send(data(1, end=True), peer.request())
    assert (peer.goaway, peer.last().body) == (None, b"early")


async def test_windows_of_bodies_grow_only_when_they_are_read() -> None:
    go = asyncio.Event()

    async def late(stream: Stream) -> None:
        await go.wait()
        await Uploads()._receive(stream)

    peer = await Peer(late).greet()
    await peer.send(peer.request("/", "POST", end=False))
    before = peer.count(WindowUpdateFrame)
    await peer.send(*(data(1, bytes(16_384)) for _ in range(64)))
    assert peer.count(WindowUpdateFrame) == before
    go.set()
    await peer.settle()
    assert peer.count(WindowUpdateFrame) == before + 1
    await peer.send(data(1, end=True))
    assert peer.last().body == b"1048576"


async def test_more_data_than_the_window_allows_ends_the_connection() -> None:
    async def never(stream: Stream) -> None:
        await stream.gone.wait()

    peer = await Peer(never).greet()
    await peer.send(*(peer.request("/", "POST", end=False) for _ in range(20)))
    for number in range(513):
        await peer.send(data(number % 20 * 2 + 1, bytes(16_384)))
    assert peer.goaway is not None
    assert peer.goaway.error_code == FLOW_CONTROL_ERROR


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", PROTOCOL_ERROR),
        (data(1, b"idle").serialize(), PROTOCOL_ERROR),
        (b"\0\x40\1" + bytes(6), FRAME_SIZE_ERROR),
        (PingFrame(0, bytes(8)).serialize().replace(b"\0\0\x08", b"\0\0\x07", 1), PROTOCOL_ERROR),
    ],
)
async def test_errors_of_a_connection_end_it(sent: bytes, code: int) -> None:
    peer = Peer(at_once(b""))
    await peer.send(sent if sent.startswith(b"GET") else peer.greeting + sent)
    assert peer.goaway is not None
    assert peer.goaway.error_code in (code, FRAME_SIZE_ERROR)
    assert peer.transport.is_closing()


def _disconnect(peer: Peer, how: str) -> Coroutine[Any, Any, None]:
    if how == "rst-stream":
        return peer.send(reset(1))
    if how == "goaway":
        return peer.send(GoAwayFrame(0, error_code=2))
    if how == "fin":
        peer.connection.eof_received()
    elif how == "lost":
        peer.connection.connection_lost(ConnectionResetError())
    else:
        peer.connection.abort()
    return peer.settle()


@pytest.mark.parametrize("how", ["rst-stream", "goaway", "fin", "lost", "cut"])
@pytest.mark.parametrize("where", ["window", "transport", "wait", "body", "room", "file"])
async def test_the_end_is_known_immediately(how: str, where: str, tmp_path: Path) -> None:
    """For every kind of wait and every kind of end, the task ends and its memory is freed."""
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    ends: list[str] = []

    async def answer(stream: Stream) -> None:
        try:
            await _wait_somehow(stream, where, tmp_path / "file")
        except ClientDisconnectedError:
            ends.append("disconnected")
        assert stream.is_gone
        assert stream.gone.is_set()

    peer = await Peer(answer).greet()
    if where == "transport":
        peer.connection.pause_writing()
    await peer.send(peer.request("/", "POST", end=False))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert len(peer.connection.tasks) == 1
    await _disconnect(peer, how)
    await asyncio.wait(peer.connection.tasks | {asyncio.create_task(asyncio.sleep(0))}, timeout=5)
    assert ends == ["disconnected"]
    assert not peer.connection.tasks
    assert not peer.connection.streams


async def _wait_somehow(stream: Stream, where: str, file: Path) -> None:
    if where == "wait":
        await stream.wait()
    elif where == "body":
        while (await stream.receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnectedError
    elif where == "room":
        while True:
            await stream._send_body(bytes(await stream.room()), more=True)
    elif where == "file":
        with file.open("rb") as opened:
            await stream._send_file(opened, 0, 1_000_000)
    else:
        await stream._send_body(bytes(1_000_000), more=True)


async def test_after_goaway_the_requests_in_flight_are_answered() -> None:
    go = asyncio.Event()

    async def answer(stream: Stream) -> None:
        await go.wait()
        await respond(stream, b"late")

    peer = await Peer(answer).greet()
    await peer.send(peer.request(), GoAwayFrame(0))
    assert not peer.transport.is_closing()
    go.set()
    await peer.settle()
    assert (peer.last().body, peer.last().ended, peer.transport.is_closing()) == (b"late", True, True)


@pytest.mark.parametrize("receives", [True, False])
async def test_after_goaway_a_slow_client_receives_everything(
    monkeypatch: pytest.MonkeyPatch, receives: bool
) -> None:
    monkeypatch.setattr(http2, "_LINGER", 0.2)
    monkeypatch.setattr(http2, "_POLL", 0.01)
    peer = await Peer(lambda stream: respond(stream, b"large")).greet()
    peer.transport.unsent = 4
    await peer.send(peer.request(), GoAwayFrame(0))
    for left in range(3, -1, -1):
        assert not (receives and peer.transport.is_closing())
        peer.transport.unsent = left if receives else 4
        await asyncio.sleep(0.1)
    assert (peer.transport.is_closing(), peer.transport.was_aborted) == (True, not receives)


async def test_a_server_that_stops_refuses_new_requests() -> None:
    go = asyncio.Event()

    async def answer(stream: Stream) -> None:
        await go.wait()
        await respond(stream, b"late")

    peer = await Peer(answer).greet()
    await peer.send(peer.request())
    peer.connection.finish()
    await peer.send(peer.request())
    assert peer.last().ended == Reset(REFUSED)
    assert not peer.transport.is_closing()
    assert peer.goaway is not None, "the client can already send its next request on another connection"
    go.set()
    await peer.settle()
    assert (peer.streams[1].body, peer.transport.is_closing()) == (b"late", True)
    assert (peer.goaway.error_code, peer.goaway.last_stream_id) == (0, 1)


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "_IDLE", 0.05)
    peer = await Peer(lambda stream: stream.wait(0.1)).greet()
    await peer.send(peer.request())
    await asyncio.wait_for(peer.connection.gone.wait(), 5)
    await peer.settle()
    assert peer.transport.is_closing()
    assert peer.last().status == 500
    assert peer.goaway is not None
    assert peer.goaway.error_code == 0


@pytest.mark.parametrize("is_started", [False, True])
@pytest.mark.parametrize("fails", [False, True])
async def test_an_application_that_does_not_end_its_response(is_started: bool, fails: bool) -> None:
    async def answer(stream: Stream) -> None:
        if is_started:
            await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        if fails:
            raise RuntimeError

    peer = await Peer(answer).greet()
    await peer.send(peer.request())
    assert (peer.last().status, peer.last().ended) == ((200, Reset(2)) if is_started else (500, True))


async def test_cuts_of_a_stream_and_of_its_connection() -> None:
    async def answer(stream: Stream) -> None:
        await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        await stream.send({"type": "http.response.body", "body": b"abc", "more_body": True})
        end = End.GOAWAY if stream.scope["path"] == "/goaway" else End.RESET_STREAM
        await stream.send({"type": CUT, "end": end, "code": 7})

    peer = await Peer(answer).greet()
    await peer.send(peer.request(), peer.request())
    assert (peer.last().body, peer.last().ended) == (b"abc", Reset(7))
    await peer.send(peer.request("/goaway"))
    assert peer.goaway is not None
    assert (peer.goaway.error_code, peer.goaway.last_stream_id, peer.last().body) == (7, 3, b"abc")


async def test_a_file_that_is_shorter_than_it_was_resets_the_stream() -> None:
    async def answer(stream: Stream) -> None:
        await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        with Path(__file__).open("rb") as file:
            await stream._send_file(file, 0, Path(__file__).stat().st_size + 1)

    peer = await Peer(answer).greet()
    await peer.send(peer.request())
    for _ in range(50):
        await asyncio.sleep(0.001)
    await peer.settle()
    assert peer.last().ended == Reset(2)
