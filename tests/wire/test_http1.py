"""Requests over our HTTP/1.1: order, limits, targets and bodies."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from brokenreg.wire.stream import Stream
from tests.wire.http1_serving import (
    CHUNKED,
    GET,
    POST,
    Held,
    Reader,
    body,
    connect,
    feed,
    respond,
    serving,
    settle,
    start,
    until,
)


async def test_a_response_that_is_ready_is_written_immediately() -> None:
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


async def test_input_behind_a_held_request_is_limited() -> None:
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


async def test_reading_continues_after_large_heads() -> None:
    held = Held()
    connection, transport = connect(lambda s: respond(s) if held.streams else held(s))
    large = GET[:-2] % b"/" + b"X: " + b"x" * 10_000 + b"\r\n\r\n"
    connection.data_received(GET % b"/" + large * 8)
    assert not transport.reads
    held.let.set()
    await until(lambda: transport.written.count(b"HTTP/1.1 200 OK") == 9)
    assert transport.reads


async def test_many_pipelined_requests_let_other_tasks_run() -> None:
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


async def test_body_bytes_are_passed_on_without_a_copy() -> None:
    reader = Reader()
    connection, _ = connect(reader)
    data = bytes(256 * 1024)
    await feed(connection, [POST % len(data), data])
    assert reader.messages[0]["body"] is data


async def test_an_unread_body_pauses_reading() -> None:
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


async def test_tiny_unread_pieces_are_joined() -> None:
    reader = Reader(is_let=False)
    connection, transport = connect(reader)
    size = 16 * 1024
    await feed(connection, [POST % size])
    for _ in range(size):
        connection.data_received(b"x")
    reader.let.set()
    await settle()
    assert reader.received == b"x" * size
    assert len(reader.messages) <= 17
    assert transport.written.endswith(b"ok")


async def test_many_tiny_chunks_let_other_tasks_run() -> None:
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


async def test_100_continue_is_sent_when_the_body_is_read() -> None:
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


async def test_an_unused_body_is_read_before_the_response() -> None:
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
async def test_a_half_close_within_a_body_is_an_error(head: bytes) -> None:
    reader = Reader()
    async with serving(reader) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"1\r\nx\r\n")
        writer.write_eof()
        assert (await client.read()).endswith(b"\r\n\r\nok")
        assert reader.cut_short == [True]
        writer.close()


async def test_a_half_close_after_a_request_does_not_prevent_a_ready_response() -> None:
    async with serving(respond) as (port, _):
        client, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/a")
        writer.write_eof()
        assert (await client.read()).endswith(b"\r\n\r\n/a")
        writer.close()
