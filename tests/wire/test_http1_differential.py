"""The same bytes for h11 and our HTTP/1.1: we accept only what h11 accepts, with the same result."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokenreg.http.http1_heads import MAX_FIELDS, MAX_HEAD, PREFACE
from brokenreg.wire.stream import Stream
from tests.wire.http1_serving import connect, feed
from tests.wire.odd_requests import (
    CHUNKS,
    FIELDS,
    LINES,
    ODD_CHUNKS,
    ODD_FIELDS,
    ODD_LINES,
    ODD_TRAILERS,
    TRAILERS,
)

Headers = list[tuple[bytes, bytes]]


def examples(number: int) -> settings:
    """Return the settings of a test with that number of examples, unless the environment says another."""
    return settings(max_examples=int(os.environ.get("HTTP1_EXAMPLES", number)))


@dataclass
class Understood:
    """The complete requests that a server has parsed: method, path, query, headers and body."""

    requests: list[tuple[str, bytes, bytes, Headers, bytes]] = field(default_factory=list)
    has_rejected: bool = False


def by_h11(pieces: Sequence[bytes]) -> Understood:
    found = Understood()
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    for piece in pieces:
        if piece:
            connection.receive_data(piece)
        try:
            _read_events(connection, found)
        except h11.RemoteProtocolError:
            found.has_rejected = True
            break
    return found


_open: dict[int, tuple[h11.Request, bytearray]] = {}


def _read_events(connection: h11.Connection, found: Understood) -> None:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            _open[id(connection)] = event, bytearray()
        elif isinstance(event, h11.Data):
            _open[id(connection)][1].extend(event.data)
        elif isinstance(event, h11.EndOfMessage):
            request, body = _open.pop(id(connection))
            found.requests.append(_normal(request, bytes(body)))
            connection.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
        else:
            return


def _normal(request: h11.Request, body: bytes) -> tuple[str, bytes, bytes, Headers, bytes]:
    """Return a request as an application gets it: with a path and Host instead of an absolute form."""
    target, headers = request.target, [(bytes(name), bytes(value)) for name, value in request.headers]
    scheme, is_absolute, place = target.partition(b"://")
    if is_absolute and not set(scheme) & set(b"/?"):
        end = min((at for at in (place.find(b"/"), place.find(b"?")) if at >= 0), default=len(place))
        authority, target = place[:end], place[end:]
        if not target.startswith(b"/"):
            target = b"/" + target
        if authority:
            headers = [(b"host", authority), *(each for each in headers if each[0] != b"host")]
    path, _, query = target.partition(b"?")
    return request.method.decode("ascii").upper(), bytes(path), bytes(query), headers, body


async def by_us(pieces: Sequence[bytes]) -> Understood:
    found = Understood()

    def answer(stream: Stream) -> Coroutine[Any, Any, None] | None:
        if stream.body is not None:
            return read(stream)
        found.requests.append(_from_scope(stream, b""))
        stream.respond(404, ((b"content-length", b"0"),), b"")
        return None

    async def read(stream: Stream) -> None:
        body = b""
        while True:
            message = await stream.receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        found.requests.append(_from_scope(stream, body))
        await stream.send(
            {"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]}
        )
        await stream.send({"type": "http.response.body", "body": b"", "more_body": False})

    connection, transport = connect(answer)
    await feed(connection, pieces)
    found.has_rejected = transport.has_written_eof
    connection.connection_lost(None)
    for task in list(connection.tasks):
        await task
    return found


def _from_scope(stream: Stream, body: bytes) -> tuple[str, bytes, bytes, Headers, bytes]:
    scope = stream.scope
    headers = [
        (name, value.lower() if name == b"transfer-encoding" else value) for name, value in scope["headers"]
    ]
    return scope["method"], scope["raw_path"], scope["query_string"], headers, body


async def assert_no_more_than_h11(pieces: Sequence[bytes]) -> None:
    """Assert that we accept only what h11 accepts, with the same result."""
    ours, theirs = await by_us(pieces), by_h11(pieces)
    assert ours.requests == theirs.requests[: len(ours.requests)]


@st.composite
def requests(draw: st.DrawFn, *, odd: bool) -> bytes:
    """Draw a request. Without odd parts it is valid, and both accept it."""
    line = draw(st.sampled_from(LINES + (ODD_LINES if odd else [])))
    fields = draw(st.lists(st.sampled_from(FIELDS[1:]), max_size=4))
    if odd:
        fields += draw(st.lists(st.sampled_from(FIELDS + ODD_FIELDS), max_size=3))
    if not odd or draw(st.integers(0, 9)):
        fields.append(FIELDS[0])
    body = b""
    # Chunks with HTTP/1.0 are refused (RFC 9112, section 6.1); h11 accepts them.
    kinds = ["none", "length"] + ["chunked"] * (odd or not line.endswith(b"1.0"))
    kind = draw(st.sampled_from(kinds))
    if kind == "length":
        body = draw(st.binary(max_size=20))
        wrong = draw(st.integers(-1, 1)) if odd else 0
        fields.append(b"Content-Length: %d" % (len(body) + wrong))
    elif kind == "chunked":
        fields.append(b"Transfer-Encoding: chunked")
        body = b"".join(draw(st.lists(st.sampled_from(CHUNKS + (ODD_CHUNKS if odd else [])), max_size=3)))
        body += b"0\r\n" + draw(st.sampled_from(TRAILERS + (ODD_TRAILERS if odd else [])))
    head = [line, *draw(st.permutations(fields)), b"", b""]
    return draw(st.sampled_from([b"\r\n"] * 9 + [b"\n"]) if odd else st.just(b"\r\n")).join(head) + body


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw some requests, one after another, in which bytes were changed, added or removed."""
    data = b"".join(draw(st.lists(requests(odd=True), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        added = draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b"0", b"\xff"])
        )
        data = data[:at] + added + data[at + draw(st.integers(0, 2)) :]
    return data


@st.composite
def split(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    """Draw bytes in pieces."""
    whole = draw(data)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@examples(150)
@given(split(mutated()))
@example([b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
async def test_what_h11_rejects_is_not_accepted(pieces: list[bytes]) -> None:
    await assert_no_more_than_h11(pieces)


@examples(60)
@given(split(st.lists(requests(odd=False), min_size=1, max_size=3).map(b"".join)))
async def test_valid_requests_are_parsed_as_by_h11(pieces: list[bytes]) -> None:
    ours, theirs = await by_us(pieces), by_h11(pieces)
    assert ours.requests == theirs.requests
    assert not ours.has_rejected


@examples(50)
@given(st.data())
async def test_any_split_is_parsed_in_the_same_way(data: st.DataObject) -> None:
    whole = data.draw(mutated())
    pieces = data.draw(split(st.just(whole)))
    at_once = await by_us([whole])
    assert (await by_us(pieces)).requests == at_once.requests
    assert (await by_us([whole[at : at + 1] for at in range(len(whole))])).requests == at_once.requests


HEAD = b"%b\r\nHost: example.org\r\n"


@pytest.mark.parametrize("line", LINES + ODD_LINES)
async def test_request_lines(line: bytes) -> None:
    await assert_no_more_than_h11([HEAD % line + b"\r\n"])


@pytest.mark.parametrize("field", FIELDS + ODD_FIELDS)
@pytest.mark.parametrize("line", [b"POST / HTTP/1.1", b"POST / HTTP/1.0"])
async def test_fields(line: bytes, field: bytes) -> None:
    for framing in (b"", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"):
        for head in (HEAD % line + framing + field, HEAD % line + field + b"\r\n" + framing[:-2]):
            for body in (b"abc", b"3\r\nabc\r\n0\r\n\r\n"):
                await assert_no_more_than_h11([head + b"\r\n\r\n" + body + HEAD % LINES[0] + b"\r\n"])


@pytest.mark.parametrize("chunk", CHUNKS + ODD_CHUNKS)
@pytest.mark.parametrize("trailer", TRAILERS + ODD_TRAILERS)
async def test_chunks(chunk: bytes, trailer: bytes) -> None:
    head = HEAD % b"POST / HTTP/1.1" + b"Transfer-Encoding: chunked\r\n\r\n"
    await assert_no_more_than_h11([head + chunk + b"0\r\n" + trailer + HEAD % LINES[0] + b"\r\n"])


async def test_what_follows_the_preface_of_http2_is_not_read() -> None:
    """HTTP/2 takes over, and the bytes wait for it."""
    request = HEAD % LINES[0] + b"\r\n"
    for pieces in ([PREFACE, request], [PREFACE + request], [PREFACE[:5], PREFACE[5:], request]):
        assert not (await by_us(pieces)).requests


async def test_limits() -> None:
    many = HEAD % LINES[0] + b"A: b\r\n" * (MAX_FIELDS - 1)
    assert len((await by_us([many + b"\r\n"])).requests) == 1
    assert not (await by_us([many + b"A: b\r\n\r\n"])).requests
    long = HEAD % LINES[0] + b"A: "
    assert len((await by_us([long + b"b" * (MAX_HEAD - len(long) - 4) + b"\r\n\r\n"])).requests) == 1
    assert not (await by_us([long + b"b" * (MAX_HEAD - len(long) - 3) + b"\r\n\r\n"])).requests
