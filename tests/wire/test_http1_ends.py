"""How connections of our HTTP/1.1 end: time limits, shutdown, other protocols, and memory."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from brokenreg.http.asgi import CUT, ClientDisconnectedError, End
from brokenreg.listening.connection_events import TLSHelloOnPlainPort
from brokenreg.wire import cutting, http1
from brokenreg.wire.connection import Next
from brokenreg.wire.stream import Stream
from tests.wire.http1_serving import GET, Held, body, connect, feed, respond, serving, settle, start, until


async def test_a_connection_that_is_idle_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_a_closed_connection_ends_when_its_client_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_CLOSE_PATIENCE", 0.001)
    connection, transport = connect(respond)
    sizes = itertools.chain(range(100, 50, -1), itertools.repeat(50))
    monkeypatch.setattr(transport, "get_write_buffer_size", lambda: next(sizes))
    connection.data_received((GET % b"/").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert transport.is_closing()
    await until(lambda: transport.was_aborted, 0.001)
    assert next(sizes) == 50


async def test_the_server_shuts_down(monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A value in a scope that refers to the stream, as the recorder's does. It records when it is freed."""

    def __init__(self, freed: list[str], stream: Stream) -> None:
        self.stream = stream
        weakref.finalize(self, freed.append, stream.scope["path"])


async def test_no_reference_cycles_are_left() -> None:
    freed: list[str] = []

    async def later(stream: Stream) -> None:
        await stream.send(start())
        await stream.send(body(b"ok"))

    def answer(stream: Stream) -> Coroutine[Any, Any, None] | None:
        stream.scope["freed"] = _Freed(freed, stream)
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


async def test_a_client_that_ends_its_side_and_reads_nothing_does_not_keep_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_CLOSE_PATIENCE", 0.01)
    held = Held()
    connection, transport = connect(held)
    connection.data_received(GET % b"/")
    transport.unsent = 1
    connection.eof_received()
    await until(lambda: transport.was_aborted, 0.001)
    assert held.disconnected == [b"/"]


async def test_a_regular_end_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "PATIENCE", 0.01)

    async def answer(stream: Stream) -> None:
        await stream.send(start())
        transport.unsent = 1  # the client reads nothing
        await stream.send({"type": CUT, "end": End.CLOSE_NOTIFY})

    connection, transport = connect(answer)
    connection.data_received(GET % b"/")
    await until(transport.is_closing, 0.001)
    assert not transport.was_aborted
    await until(lambda: transport.was_aborted, 0.001)
    assert connection.is_cut


async def test_a_malformed_request_of_a_client_that_has_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, transport = connect(respond)

    def not_connected() -> None:
        raise OSError

    monkeypatch.setattr(transport, "write_eof", not_connected)
    connection.data_received(b"malformed\r\n\r\n")
    assert transport.was_aborted


async def test_the_socket_of_a_closed_connection_is_not_lent() -> None:
    connection, transport = connect(respond)
    transport.close()
    with pytest.raises(ClientDisconnectedError):
        connection.lend(to_receive=True)
    assert connection.gone.is_set()
