"""Requests that are malformed, ambiguous or oversized: one that is refused ends its connection.

After each, the same connection gets an ordinary request. If that is answered although the request before was
refused, somebody could smuggle requests.
"""

from __future__ import annotations

import random
import re
import socket

import pytest

from tests.connections import dial
from tests.registry.pushing import digest_of
from tests.server import Brokenreg

LAST = b"GET /v2/ HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
GET = b"GET /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n"
POST = b"POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\nHost: HOST\r\n"
PUT = b"PUT /v2/a/b/manifests/x HTTP/1.1\r\nHost: HOST\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def get(path: bytes, fields: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: HOST\r\n%b\r\n" % (path, fields)


REFUSED = {
    "TE+CL": (400, POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + END),
    "CL+TE": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n" + END),
    "CL CL differ": (400, POST + b"Content-Length: 6\r\nContent-Length: 0\r\n\r\nabcdef"),
    'CL "6, 6"': (400, POST + b"Content-Length: 6, 6\r\n\r\nabcdef"),
    "CL +6": (400, POST + b"Content-Length: +6\r\n\r\nabcdef"),
    "CL 0x6": (400, POST + b"Content-Length: 0x6\r\n\r\nabcdef"),
    "CL -1": (400, POST + b"Content-Length: -1\r\n\r\n"),
    "CL 10^30": (400, POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabc"),
    "CL 5000 digits": (400, POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc"),
    "TE xchunked": (501, POST + b"Transfer-Encoding: xchunked\r\n\r\n" + END),
    "TE chunked, identity": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + END),
    "TE gzip, chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + END),
    "TE TE": (501, POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n" + END),
    "TE[vt]chunked": (400, POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + END),
    "TE space-colon": (400, POST + b"Transfer-Encoding : chunked\r\n\r\n" + END),
    "TE on HTTP/1.0": (400, CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + END),
    "chunk size -1": (400, CHUNKED + b"-1\r\nabc\r\n" + END),
    "chunk size 0x5": (400, CHUNKED + b"0x5\r\nabcde\r\n" + END),
    "chunk size 17 digits": (400, CHUNKED + b"f" * 17 + b"\r\nabc"),
    "chunk data too long": (400, CHUNKED + b"3\r\nabcdef\r\n" + END),
    "chunk ext bare LF": (400, CHUNKED + b"3;a\nxx\r\nabc\r\n" + END),
    "chunk ext huge 1MiB": (431, CHUNKED + b"3;" + b"a" * (1 << 20) + b"\r\nabc\r\n" + END),
    "trailers 1 MiB": (431, CHUNKED + b"0\r\n" + b"x: y\r\n" * 170_000 + b"\r\n"),
    "obs-fold": (400, get(b"/v2/", b"X-A: b\r\n c\r\n")),
    "obs-fold TE": (400, POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + END),
    "bare LF": (400, GET.replace(b"\r", b"")),
    "bare CR in header": (400, get(b"/v2/", b"X: a\rb\r\n")),
    "NUL in header": (400, get(b"/v2/", b"X: a\0b\r\n")),
    "NUL in path": (400, get(b"/v2/a\0/tags/list")),
    "no Host 1.1": (400, b"GET /v2/ HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, get(b"/v2/", b"Host: evil\r\n")),
    "websocket": (403, get(b"/v2/", WEBSOCKET + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n")),
    "websocket bad": (400, get(b"/v2/", WEBSOCKET + b"Sec-WebSocket-Version: 99\r\n")),
    "HTTP/0.9": (400, b"GET /v2/\r\n\r\n"),
    "HTTP/2.0": (505, GET.replace(b"1.1", b"2.0")),
    "path 200k": (431, get(b"/v2/" + b"a" * 200_000 + b"/tags/list")),
    "header 200k": (431, get(b"/v2/", b"X: " + b"a" * 200_000 + b"\r\n")),
    "100k headers": (431, get(b"/v2/", b"a: b\r\n" * 100_000)),
    "9k headers 63KiB": (431, get(b"/v2/", b"a: b\r\n" * 9000)),
    "random bytes": (400, b"\x80" + random.Random(1).randbytes(4000)),
    "empty line first": (400, b"\r\n" + GET),
    "non-ASCII path": (400, get(b"/v2/\xc3\xa9/tags/list")),
    "bad utf-8 query": (400, get(b"/v2/a/b/tags/list?n=%ff%fe&last=\xff")),
    "h2c path non-ascii": (400, get(b"/v2/\xff", H2C)),
}

ANSWERED = {
    "%00 in path": (400, get(b"/v2/a%00b/tags/list")),
    "%0d%0a in path": (400, get(b"/v2/a%0d%0aX-Evil:1/tags/list")),
    "CRLF via n/last": (404, get(b"/v2/a/b/tags/list?n=1&last=%0d%0aX-Evil:1")),
    "CRLF ns": (400, get(b"/v2/a/b/tags/list?ns=%0d%0aX-Evil:1")),
    "header fault CRLF": (400, get(b"/v2/broken/header:header-x%0d%0aevil_value-y/manifests/latest")),
    "Host evil": (421, GET.replace(b"HOST", b"evil.example")),
    "Host userinfo": (421, GET.replace(b"HOST", b"localhost@evil.example")),
    "Host localhost:@evil": (421, GET.replace(b"HOST", b"localhost:80@evil.example")),
    "absolute form, other host": (421, get(b"http://evil.example/v2/_catalog")),
    "absolute form, file": (404, get(b"file:///etc/passwd")),
    "CONNECT": (404, b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    "OPTIONS *": (404, b"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    "TRACE": (405, b"TRACE /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    "h2c upgrade": (200, get(b"/v2/", H2C)),
    "h2c upgrade w/ body": (202, POST + H2C + b"Content-Length: 3\r\n\r\nabc"),
    "h2c bad settings": (200, get(b"/v2/", H2C.replace(b"AAMAAABkAAQAAP__", b"!!!!"))),
    "h2c no settings": (200, get(b"/v2/", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")),
    "Expect bogus": (201, PUT + b"Expect: bogus\r\nContent-Length: 2\r\n\r\n{}"),
    "method 10k": (405, b"A" * 10_000 + b" /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    "unknown method": (405, b"FOO /v2/ HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    "HTTP/1.2": (200, GET.replace(b"1.1", b"1.2")),
    "path 60k": (400, get(b"/v2/" + b"a" * 60_000 + b"/tags/list")),
    "GET with body": (200, get(b"/v2/", b"Content-Length: 5\r\n") + b"hello"),
    "path of %2e%2e": (400, get(b"/v2/..%2f..%2f..%2fetc/passwd/blobs/sha256:" + b"a" * 64)),
    "bad utf-8 path": (400, get(b"/v2/%ff%fe/tags/list")),
    "TE Chunked": (202, POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n" + END),
}


def exchange(running: Brokenreg, data: bytes) -> bytes:
    """Send bytes, and return what comes until the server closes the connection."""
    received = b""
    with dial(running) as connection:
        connection.sendall(data.replace(b"HOST", running.host.encode()))
        while piece := connection.recv(65536):
            received += piece
    return received


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_request_ends_its_connection(registry: Brokenreg, case: str) -> None:
    status, data = REFUSED[case]
    received = exchange(registry, data + LAST)
    assert statuses(received) == [status]
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("case", ANSWERED)
def test_an_accepted_request_ends_at_its_declared_end(registry: Brokenreg, case: str) -> None:
    status, data = ANSWERED[case]
    received = exchange(registry, data + LAST)
    assert statuses(received) == [status, 200]
    assert not re.search(rb"(?i)\r\nx-evil", received)


def test_pipelined_requests_are_answered_in_order(registry: Brokenreg) -> None:
    upload = POST + b"Content-Length: 0\r\n\r\n"
    received = exchange(registry, GET * 5 + upload + GET + LAST)
    assert statuses(received) == [200] * 5 + [202] + [200] * 2


def test_a_long_upload_behind_pipelined_requests_is_read_in_order(registry: Brokenreg) -> None:
    content = random.Random(16).randbytes(1024 * 1024)
    upload = PUT.replace(b"manifests/x", b"blobs/uploads/?digest=" + digest_of(content).encode())
    upload = upload.replace(b"PUT", b"POST") + b"Content-Length: %d\r\n\r\n" % len(content)
    for before in range(14, 17):  # as many as are read in one turn, one fewer, and one more
        received = exchange(registry, GET * before + upload + content + LAST)
        assert statuses(received) == [200] * before + [201, 200]


def test_a_client_that_expects_100_gets_it_before_it_sends_the_body(registry: Brokenreg) -> None:
    with dial(registry) as connection:
        head = PUT + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        connection.sendall(head.replace(b"HOST", registry.host.encode()))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"{}" + LAST.replace(b"HOST", registry.host.encode()))
        assert connection.recv(4096).startswith(b"HTTP/1.1 201 Created\r\n")


def test_http2_with_prior_knowledge(registry: Brokenreg) -> None:
    with dial(registry) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        settings = connection.recv(9, socket.MSG_WAITALL)
        assert settings[3] == 4
