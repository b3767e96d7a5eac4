"""Responses over our HTTP/1.1: their framing, and responses that must never look complete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import h11
import pytest

from brokenreg.http.asgi import ZERO_COPY
from brokenreg.wire.stream import Stream
from tests.wire.http1_serving import (
    GET,
    LENGTH_2,
    Headers,
    body,
    connect,
    feed,
    serving,
    settle,
    start,
    until,
)


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
    assert "invalid name of a response header" in caplog.text or "line break" in caplog.text


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
