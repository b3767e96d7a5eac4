"""Our own HTTP/1.1: the order and bounds of requests, the framing of responses, the ends of connections."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import h11
import pytest

from brokenreg.wire import http1, http1_sending
from brokenreg.wire.asgi import PACE, ZERO_COPY, ClientDisconnectedError, Message
from brokenreg.wire.connection import Next
from brokenreg.wire.connection_events import TLSHelloOnPlainPort
from brokenreg.wire.stream import Stream
from tests.wire.http1_serving import connect, feed, serving, settle, until

Headers = Sequence[tuple[bytes, bytes]]
GET = b"GET %b HTTP/1.1\r\nHost: example.org\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH_2 = ((b"content-length", b"2"),)


def respond(stream: Stream) -> None:
    """Respond at once, with the path."""
    path = stream.scope["raw_path"]
    stream.respond(200, ((b"content-length", b"%d" % len(path)),), path)


def start(status: int = 200, headers: Headers = LENGTH_2, pace: float = 0.0) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), PACE: pace}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class Held:
    """An answer that responds when it is let, and notes who disconnected."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.disconnected: list[bytes] = []
        self.news = asyncio.Event()
        self.let = asyncio.Event()

    def __call__(self, stream: Stream) -> Coroutine[Any, Any, None]:
        self.streams.append(stream)
        self.news.set()
        return self._respond(stream)

    async def _respond(self, stream: Stream) -> None:
        try:
            await stream.unless_gone(self.let.wait())
        except ClientDisconnectedError:
            self.disconnected.append(stream.scope["raw_path"])
            self.news.set()
            raise
        await stream.send(start())
        await stream.send(body(b"ok"))


class Reader:
    """An answer that reads the body when it is let, and responds."""

    def __init__(self, *, is_let: bool = True) -> None:
        self.messages: list[Message] = []
        self.let = asyncio.Event()
        self.cut_short: list[bool] = []
        if is_let:
            self.let.set()

    async def __call__(self, stream: Stream) -> None:
        await self.let.wait()
        while not self.messages or self.messages[-1].get("more_body"):
            self.messages.append(await stream.receive())
        assert stream.body is not None
        self.cut_short.append(stream.body.is_cut_short)
        await stream.send(start())
        await stream.send(body(b"ok"))

    @property
    def received(self) -> bytes:
        return b"".join(message["body"] for message in self.messages)


# Requests


async def test_a_response_that_is_ready_is_written_at_once() -> None:
    connection, transport = connect(respond)
    connection.data_received(GET % b"/a")
    (written,) = transport.writes
    assert written.endswith(b"\r\n\r\n/a")
    connection.data_received(GET % b"/b")
    assert not transport.is_closing()
    assert not connection.tasks


async def test_requests_are_answered_in_order_one_at_a_time() -> None:
    held = Held()
    connection, transport = connect(lambda s: held(s) if s.scope["raw_path"] == b"/held" else respond(s))
    connection.data_received(GET % b"/a" + GET % b"/held" + GET % b"/b" + GET % b"/held")
    await settle()
    assert transport.written.endswith(b"/a")
    assert len(held.streams) == 1
    held.let.set()
    await until(lambda: len(held.streams) == 2 and not connection.tasks)
    assert [part.rpartition(b"\n")[2] for part in transport.written.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"/a", b"ok", b"/b", b"ok",
    ]  # fmt: skip


async def test_what_follows_a_held_request_is_bounded() -> None:
    held = Held()
    connection, transport = connect(held)
    connection.data_received(GET % b"/" + GET % b"/" * 10)
    assert transport.reads
    connection.data_received(GET % b"/" * 2000)
    assert not transport.reads
    held.let.set()
    await until(lambda: len(held.streams) == 2011)
    assert transport.reads


async def test_a_disconnect_behind_a_pipelined_request_is_noticed() -> None:
    held = Held()
    async with serving(held) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/held" + GET % b"/after")
        await held.news.wait()
        held.news.clear()
        writer.close()
        await held.news.wait()
        assert held.disconnected == [b"/held"]


async def test_many_pipelined_requests_give_others_a_turn() -> None:
    connection, transport = connect(respond)
    connection.data_received(GET % b"/" * 100)
    counts = [transport.written.count(b"HTTP/1.1 200 OK")]
    while counts[-1] < 100:
        await asyncio.sleep(0)
        counts.append(transport.written.count(b"HTTP/1.1 200 OK"))
    assert max(after - before for before, after in itertools.pairwise([0, *counts])) < 20


async def test_a_client_that_does_not_read_gets_no_more_responses() -> None:
    connection, transport = connect(respond)
    connection.pause_writing()
    connection.data_received(GET % b"/" * 3)
    await settle()
    assert not transport.written
    connection.resume_writing()
    await settle()
    assert transport.written.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query", "host"),
    [
        (b"/a%20b?c=%20", "/a b", b"/a%20b", b"c=%20", b"example.org"),
        (b"http://other:1/a?b", "/a", b"/a", b"b", b"other:1"),
        (b"http://other", "/", b"/", b"", b"other"),
        (b"http://other?b", "/", b"/", b"b", b"other"),
        (b"file:///etc", "/etc", b"/etc", b"", b"example.org"),
        (b"/http://x/", "/http://x/", b"/http://x/", b"", b"example.org"),
        (b"*", "*", b"*", b"", b"example.org"),
    ],
)
async def test_targets(target: bytes, path: str, raw_path: bytes, query: bytes, host: bytes) -> None:
    scopes: list[dict[str, Any]] = []

    def answer(stream: Stream) -> None:
        scopes.append(dict(stream.scope))
        respond(stream)

    connection, _ = connect(answer)
    connection.data_received(GET % target)
    (scope,) = scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)
    assert [value for name, value in scope["headers"] if name == b"host"] == [host]
    assert (scope["type"], scope["http_version"], scope["method"], scope["scheme"]) == (
        "http",
        "1.1",
        "GET",
        "http",
    )
    assert scope["client"] == scope["server"] == ("127.0.0.1", 5000)


# Bodies of requests


async def test_a_read_that_is_all_body_is_passed_on_without_a_copy() -> None:
    reader = Reader()
    connection, _ = connect(reader)
    data = bytes(256 * 1024)
    await feed(connection, [POST % len(data), data])
    assert reader.messages[0]["body"] is data


async def test_a_body_that_nobody_takes_stops_the_client() -> None:
    reader = Reader(is_let=False)
    connection, transport = connect(reader)
    piece = bytes(256 * 1024)
    connection.data_received(POST % (len(piece) * 4))
    read = 0
    while transport.reads:
        connection.data_received(piece)
        read += 1
    assert read == 3
    reader.let.set()
    await feed(connection, [piece])
    assert reader.received == piece * 4
    assert transport.written.endswith(b"ok")


async def test_many_tiny_chunks_give_others_a_turn() -> None:
    reader = Reader()
    connection, transport = connect(reader)
    data = CHUNKED + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
    connection.data_received(data)
    turns = 0
    while not transport.written:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 5
    assert reader.received == b"x" * 10_000
    assert len(reader.messages) < 20


async def test_a_client_that_expects_100_gets_it_once_the_body_is_wanted() -> None:
    reader = Reader(is_let=False)
    connection, transport = connect(reader)
    expecting = (POST % 2).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    await feed(connection, [expecting])
    assert not transport.written
    reader.let.set()
    await settle()
    assert transport.written.startswith(b"HTTP/1.1 100 Continue\r\ndate: ")
    await feed(connection, [b"{}"])
    assert transport.written.count(b"HTTP/1.1") == 2


async def test_a_body_that_nobody_wants_is_read_before_the_response() -> None:
    async def answer(stream: Stream) -> None:
        await stream.send(start(404))
        await stream.send(body(b"no"))

    connection, transport = connect(answer)
    await feed(connection, [POST % 4 + b"ab"])
    assert not transport.written
    await feed(connection, [b"cd" + GET % b"/"])
    assert transport.written.count(b"HTTP/1.1 404 Not Found") == 2
    assert not transport.is_closing()


@pytest.mark.parametrize("head", [POST % 10, CHUNKED])
async def test_a_client_that_ends_its_side_within_a_body_gets_an_error(head: bytes) -> None:
    reader = Reader()
    async with serving(reader) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"1\r\nx\r\n")
        writer.write_eof()
        assert (await client.read()).endswith(b"\r\n\r\nok")
        assert reader.cut_short == [True]
        writer.close()


async def test_a_client_that_ends_its_side_after_a_request_gets_a_response_that_is_ready() -> None:
    async with serving(respond) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/a")
        writer.write_eof()
        assert (await client.read()).endswith(b"\r\n\r\n/a")
        writer.close()


# Responses


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("asked", [b"", b"Connection: close\r\n", b"Connection: Keep-Alive\r\n"])
@pytest.mark.parametrize("status", [200, 204, 304, 404, 299])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"X-Mixed", b"Case"), (b"content-length", b"5"), (b"x-mixed", b"again")],
        [(b"Content-Length", b"5"), (b"connection", b"close")],
        [(b"connection", b"keep-alive, x"), (b"content-length", b"5")],
        [(b"transfer-encoding", b"chunked"), (b"a", b"")],
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
    ],
)
async def test_responses_are_framed_as_h11_does(
    version: bytes, method: bytes, asked: bytes, status: int, headers: Headers
) -> None:
    request = b"%b / HTTP/%b\r\nHost: example.org\r\n%b\r\n" % (method, version, asked)

    async def send(stream: Stream) -> None:
        await stream.send(start(status, headers))
        await stream.send(body(b"abc", more=True))
        await stream.send(body(b"de"))

    for answer in (send, lambda stream: stream.respond(status, tuple(headers), b"abcde")):
        connection, transport = connect(answer)
        connection.data_received(request)
        await settle()
        date = transport.written.partition(b"date: ")[2].partition(b"\r\n")[0]
        parts = [b"abc", b"de"] if answer is send else [b"abcde"]
        expected, is_kept = by_h11(request, status, [*headers, (b"date", date)], parts)
        assert transport.written == expected
        assert transport.is_closing() == (not is_kept)


def by_h11(request: bytes, status: int, headers: Headers, parts: list[bytes]) -> tuple[bytes, bool]:
    """Return what h11 sends, and whether its connection continues."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(request)
    asked = connection.next_event()
    assert isinstance(asked, h11.Request)
    connection.next_event()
    reason = {200: "OK", 204: "No Content", 304: "Not Modified", 404: "Not Found"}.get(status, "")
    sent = connection.send(h11.Response(status_code=status, headers=list(headers), reason=reason))
    if asked.method != b"HEAD" and status not in (204, 304):
        for part in parts:
            sent += connection.send(h11.Data(data=part))
    sent += connection.send(h11.EndOfMessage())
    return sent, connection.our_state is h11.DONE


@pytest.mark.parametrize("parts", [[b"abc"], [b"a", b"bc"], [b"a"], [b"a", b""], []])
async def test_a_response_of_the_wrong_length_never_looks_right(
    parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def send(stream: Stream) -> None:
        await stream.send(start())
        for left, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            await stream.send(body(part, more=bool(left)))

    connection, transport = connect(send)
    await feed(connection, [GET % b"/" + GET % b"/"])
    assert transport.is_closing()
    assert transport.written.count(b"HTTP/1.1") == 1
    assert len(transport.written.partition(b"\r\n\r\n")[2]) < 2
    assert not parts or "Content-Length" in caplog.text

    connection, transport = connect(lambda stream: stream.respond(200, LENGTH_2, b"".join(parts)))
    connection.data_received(GET % b"/")
    assert transport.is_closing()
    assert transport.written.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    "header",
    [(b"a", b"b\r\nc: d"), (b"a", b"b\nc"), (b"a", b"\0"), (b"a b", b"c"), (b"a:", b"b"), (b"", b"")],
)
async def test_malformed_headers_of_responses_are_not_sent(
    header: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    connection, transport = connect(lambda stream: stream.respond(200, (*LENGTH_2, header), b"ok"))
    connection.data_received(GET % b"/")
    assert transport.written.startswith(b"HTTP/1.1 500 ")
    assert "malformed" in caplog.text or "line break" in caplog.text


async def test_an_application_that_fails_gets_a_500_or_a_cut(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(stream: Stream) -> None:
        if stream.scope["path"] == "/started":
            await stream.send(start())
        if stream.scope["path"] != "/nothing":
            raise RuntimeError("broken")

    for path, status in ((b"/", b"500"), (b"/nothing", b"500"), (b"/started", b"200")):
        connection, transport = connect(fail)
        await feed(connection, [GET % path])
        assert transport.written.startswith(b"HTTP/1.1 " + status)
        assert transport.is_closing()
    assert caplog.text.count("RuntimeError: broken") == 2


async def test_a_cut_response_that_ends_with_its_connection_is_reset() -> None:
    async def fail(stream: Stream) -> None:
        await stream.send(start(headers=()))
        await stream.send(body(b"abc", more=True))

    async with serving(fail) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.read()
        writer.close()


async def test_a_paced_head_is_sent_byte_by_byte() -> None:
    async def answer(stream: Stream) -> None:
        await stream.send(start(pace=0.0001))
        await stream.send(body(b"ok"))

    connection, transport = connect(answer)
    connection.data_received(GET % b"/")
    await until(lambda: not connection.tasks, 0.001)
    assert transport.written.endswith(b"\r\n\r\nok")
    assert {len(piece) for piece in transport.writes[:-1]} == {1}


@pytest.mark.parametrize("path", ["/", "/chunked", "/long", "/until-the-end"])
async def test_parts_of_files_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    content = bytes(range(250)) * 4000
    (tmp_path / "file").write_bytes(content)
    counts = []

    async def answer(stream: Stream) -> None:
        has_length = path in ("/", "/long")
        await stream.send(start(headers=[(b"content-length", b"1000000")] if has_length else []))
        try:
            with (tmp_path / "file").open("rb") as file:
                for offset, count in ((0, 300_000), (300_000, 700_000), *([(5, 1)] * (path == "/long"))):
                    await stream.send({"type": ZERO_COPY, "file": file, "offset": offset, "count": count})
            await stream.send(body(b""))
        finally:
            counts.append(stream.file_bytes)

    async with serving(answer) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        version = b"1.0" if path == "/until-the-end" else b"1.1"
        writer.write(b"GET / HTTP/%b\r\nHost: a\r\nConnection: close\r\n\r\n" % version)
        received = (await client.read()).partition(b"\r\n\r\n")[2]
        writer.close()
    assert counts == [1_000_000]
    if path == "/chunked":
        pieces = [b"493e0", content[:300_000], b"aae60", content[300_000:], b"0", b"", b""]
        assert received == b"\r\n".join(pieces)
    else:
        assert received == content
    assert ("ResponseLengthError" in caplog.text) == (path == "/long")


# The ends of connections


async def test_a_connection_that_is_idle_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_sending, "IDLE_PATIENCE", 0.05)
    monkeypatch.setattr(http1, "IDLE_PATIENCE", 0.05)
    async with serving(respond) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await client.read() == b""
        writer.close()
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/a")
        assert (await client.read()).endswith(b"/a")
        writer.close()


async def test_a_head_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "HEAD_PATIENCE", 0.05)
    async with serving(respond) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/a" + b"GET / HTTP/1.1\r\nHost:")
        received = await client.read()
        assert received.partition(b"/a")[2].startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        writer.close()


async def test_a_request_in_flight_has_no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_sending, "IDLE_PATIENCE", 0.01)
    monkeypatch.setattr(http1, "IDLE_PATIENCE", 0.01)
    held = Held()
    async with serving(held) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/a")
        await held.news.wait()
        await asyncio.sleep(0.05)
        held.let.set()
        assert (await client.read()).endswith(b"ok")
        writer.close()


async def test_a_closed_connection_whose_client_reads_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_sending, "_CLOSE_PATIENCE", 0.01)
    connection, transport = connect(respond)
    transport.unsent = 3
    connection.data_received((GET % b"/").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert transport.is_closing()
    transport.unsent = 2
    await asyncio.sleep(0.015)
    assert not transport.was_aborted
    await until(lambda: transport.was_aborted, 0.001)


async def test_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, transport = connect(respond)
    connection.data_received(GET % b"/")
    connection.finish()
    assert transport.is_closing()
    held = Held()
    connection, transport = connect(held)
    connection.data_received(GET % b"/" * 2)
    connection.finish()
    assert not transport.is_closing()
    held.let.set()
    await settle()
    await settle()
    assert transport.written.endswith(b"ok")
    assert transport.is_closing()
    assert len(held.streams) == 1


async def test_a_tls_hello_is_noted() -> None:
    connection, transport = connect(respond)
    connection.data_received(b"\x16\x03\x01\x00\xa5")
    assert [event for event, _ in connection.inbound.events] == [TLSHelloOnPlainPort()]
    assert connection.inbound.answered
    assert not connection.inbound.has_request
    assert transport.written.startswith(
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n"
    )
    assert transport.has_written_eof


async def test_websockets_are_handed_over() -> None:
    async def websocket(*arguments: Any) -> None:
        raise AssertionError

    head = (GET % b"/").replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    connection, transport = connect(respond, websocket)
    connection.data_received(GET % b"/a" + head + b"rest")
    connection.data_received(b" and more")
    assert await connection.ended is Next.WEBSOCKET
    assert connection.leftover == head + b"rest and more"
    assert transport.written.endswith(b"/a")
    assert not transport.reads


@pytest.mark.parametrize("cut", [0, 3, 14, 17])
async def test_http2_is_handed_over(cut: int) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    connection, transport = connect(respond)
    await feed(connection, [preface[:cut]])
    connection.data_received(preface[cut:])
    assert await connection.ended is Next.HTTP2
    assert connection.leftover == preface
    assert not transport.written


class _Freed:
    """A value in a scope, which notes when it is freed."""

    def __init__(self, freed: list[str], name: str) -> None:
        weakref.finalize(self, freed.append, name)


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    freed: list[str] = []

    async def later(stream: Stream) -> None:
        await stream.send(start())
        await stream.send(body(b"ok"))

    def answer(stream: Stream) -> Coroutine[Any, Any, None] | None:
        stream.scope["freed"] = _Freed(freed, stream.scope["path"])
        if stream.scope["path"] == "/later":
            return later(stream)
        respond(stream)
        return None

    gc.disable()
    try:
        connection, transport = connect(answer)
        weakref.finalize(connection, freed.append, "connection")
        connection.data_received(GET % b"/now" + GET % b"/later")
        await settle()
        assert sorted(freed) == ["/later", "/now"]
        connection.connection_lost(None)
        del connection, transport
        await settle()
        assert freed[-1] == "connection"
    finally:
        gc.enable()
