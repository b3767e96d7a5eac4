"""Fast clients for small requests: wrk, and two of our own for what wrk cannot do.

wrk waits for a body after HEAD, always sends the same request, and does not support HTTP/2. Our clients send
prepared bytes and check only the status and size of a response over HTTP/1.1, and the frame headers over
HTTP/2. Each runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple, TypeVar

import hpack

AT_ONCE = 16
"""Number of connections over HTTP/1.1, and of streams over HTTP/2."""

_READ = 1 << 18
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">HBBBI")
"""A frame header: length (upper 16 bits, lower 8 bits), type, flags, stream (RFC 9113, 4.1)."""

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 1
_END_HEADERS = 4
_INITIAL_WINDOW_SIZE = 4
_WINDOW = (1 << 31) - 1
_DEFAULT_WINDOW = (1 << 16) - 1
_NOT_INDEXED = 0x0F
"""A mask that turns a never-indexed literal into one without indexing (RFC 7541, 6.2.2)."""

_T = TypeVar("_T")


class Load(NamedTuple):
    """The number of requests with a response, and the time that they took in seconds."""

    requests: int
    seconds: float


class Request(NamedTuple):
    """A request without a body, to one or more paths, with the expected response."""

    method: str
    paths: Sequence[str]
    headers: Mapping[str, str]
    status: int = 200
    body: int = 0
    """The size of the response's body."""


Client = Callable[[str, Request, float | None], Load]
"""Sends requests to a host for that many seconds, or each path once."""


def wrk(host: str, request: Request, seconds: float, connections: int = AT_ONCE) -> Load:
    """Send GETs for one path with wrk, one at a time on each connection."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("bench: wrk is not installed; apt-get install wrk")
    command = [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    for name, value in request.headers.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://{host}{request.paths[0]}")
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"bench: {host} answered {request.paths[0]} with errors: {output}")
    requests = int(output.partition(" requests in ")[0].split()[-1])
    return Load(requests, requests / float(output.partition("Requests/sec:")[2].split()[0]))


def apart(client: Client, host: str, request: Request, seconds: float | None) -> Load:
    """Run one of our clients in a separate process."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(client, (host, request, seconds))


def http1(host: str, request: Request, seconds: float | None) -> Load:
    """Send requests on 16 connections, one at a time on each, for that long, or each path once."""
    encoded = [encode(host, request, path) for path in request.paths]
    status = b"HTTP/1.1 %d " % request.status
    connections = [connect(host) for _ in range(AT_ONCE)]
    count = 0
    began = time.perf_counter()
    waiting = _sequence(encoded, seconds)
    busy: deque[socket.socket] = deque()
    for connection, data in zip(connections, waiting, strict=False):
        connection.sendall(data)
        busy.append(connection)
    while busy:
        connection = busy.popleft()
        receive(connection, status, request.body)
        count += 1
        if data := next(waiting, b""):
            connection.sendall(data)
            busy.append(connection)
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return Load(count, took)


def encode(host: str, request: Request, path: str) -> bytes:
    """Return a request in HTTP/1.1."""
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def receive(connection: socket.socket, status: bytes, body: int) -> bytes:
    """Receive a complete response, which must begin with `status` and have a body of that size."""
    data = connection.recv(_READ)
    while (end := data.find(b"\r\n\r\n")) < 0 or len(data) - end - 4 < body:
        more = connection.recv(_READ)
        if not more:
            raise ConnectionError(f"the connection ended in a response: {data[:200]!r}")
        data += more
    if not data.startswith(status) or len(data) - end - 4 != body:
        raise ConnectionError(f"not the expected response: {data[:200]!r}")
    return data


def http2(host: str, request: Request, seconds: float | None) -> Load:
    """Send requests on 16 streams of one TLS connection, for that long, or each path once."""
    blocks = _blocks(host, request)
    connection = _connect_tls(host)
    received = count = 0
    stream = 1
    pending = bytearray()
    began = time.perf_counter()
    waiting = _sequence(blocks, seconds)
    ready = AT_ONCE
    open_streams = 0
    while True:
        frames = []
        for block in islice(waiting, ready):
            frames.append(_frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, block))
            stream += 2
        open_streams += len(frames)
        if not open_streams:
            break
        if frames:
            connection.sendall(b"".join(frames))
        pending += connection.recv(_READ)
        ready, size, replies = _read_frames(pending)
        if replies:
            connection.sendall(replies)
        open_streams -= ready
        count += ready
        received += size
    took = time.perf_counter() - began
    connection.close()
    if received != count * request.body:
        raise ConnectionError(f"{count} responses had {received} bytes of body, not {request.body} each")
    return Load(count, took)


def _read_frames(pending: bytearray) -> tuple[int, int, bytes]:
    """Remove complete frames. Return the number of ended streams, the bytes of bodies, and the reply."""
    ended = size = place = 0
    replies = b""
    while len(pending) - place >= _HEAD.size:
        upper, lower, kind, flags, _ = _HEAD.unpack_from(pending, place)
        end = place + _HEAD.size + (upper << 8 | lower)
        if len(pending) < end:
            break
        if kind == _DATA:
            size += end - place - _HEAD.size
        if kind in (_DATA, _HEADERS):
            ended += flags & _END_STREAM
        elif kind in (_SETTINGS, _PING) and not flags & _ACK:
            payload = bytes(pending[place + _HEAD.size : end])
            replies += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
        elif kind in (_RST_STREAM, _GOAWAY):
            raise ConnectionError(f"the server sent a frame of type {kind}: {bytes(pending[place:end])!r}")
        place = end
    del pending[:place]
    return ended, size, replies


def _blocks(host: str, request: Request) -> list[bytes]:
    """Return header blocks like those of curl: only repeated headers are indexed (RFC 7541, 6.2.2)."""
    encoder = hpack.Encoder()
    before = [(":method", request.method), (":scheme", "https")]
    after = [(":authority", host), *((name.lower(), value) for name, value in request.headers.items())]

    def block(path: str) -> bytes:
        literal = encoder.encode([(":path", path, True)])
        head = encoder.encode(before) + bytes([literal[0] & _NOT_INDEXED]) + literal[1:]
        return head + encoder.encode(after)

    first, *others = request.paths  # the first block fills the dynamic table, and the others refer to it
    return [block(path) for path in (first, *(others or [first]))]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def _sequence(items: Sequence[_T], seconds: float | None) -> Iterator[_T]:
    """Yield all items once, or repeat all but the first for that many seconds."""
    if seconds is None:
        yield from items
        return
    end = time.perf_counter() + seconds
    yield items[0]
    for item in cycle(items[1:] or items):
        if time.perf_counter() > end:
            return
        yield item


def connect(host: str) -> socket.socket:
    name, port = host.rsplit(":", 1)
    connection = socket.create_connection((name, int(port)), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _connect_tls(host: str) -> ssl.SSLSocket:
    """Return an HTTP/2 connection with windows so large that they never need an update."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connection = context.wrap_socket(connect(host))
    settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _WINDOW)
    update = struct.pack(">I", _WINDOW - _DEFAULT_WINDOW)
    connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, update))
    return connection
