"""Reads the heads of HTTP/1.1 requests, as strictly as h11 does and more strictly in places.

The request line is parsed here, and its syntax is h11's: llhttp knows a fixed list of methods. llhttp parses
the header fields, with all its leniencies off. It gets exactly one head, and a new parser for each: nothing
that a client sends can change how the next head is read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

MAX_HEAD = 64 * 1024
"""Bytes of a request's head, or of the trailers after a chunked body."""

MAX_FIELDS = 200
"""Header fields of a request."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""The beginning of HTTP/2 with prior knowledge (RFC 9113, section 3.4), as far as it looks like a request."""

_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_ABSOLUTE = re.compile(rb"[^/?]*://([^/?]*)(.*)", re.DOTALL)
_CACHED = 256
_KNOWN_LINE = b"GET / HTTP/1.1\r\n"
_MAX_DIGITS = 20


class RequestError(Exception):
    """A request that is refused with `status`; the connection cannot continue after it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestLine(NamedTuple):
    """The first line of a request. `authority` is that of the absolute form, if it has one."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    version: str
    authority: bytes


def _parse_line(line: bytes) -> RequestLine:
    match = _LINE.fullmatch(line)
    if match is None:
        raise RequestError(400)
    method, target, major, minor = match.groups()
    if major != b"1":
        raise RequestError(505)
    authority = b""
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:  # RFC 9112, section 3.2.2
            authority, target = absolute.groups()
            if not target.startswith(b"/"):
                target = b"/" + target
    raw_path, _, query = target.partition(b"?")
    version = "1.0" if minor == b"0" else "1.1"
    return RequestLine(
        method.decode("ascii").upper(), unquote(raw_path.decode("ascii")), raw_path, query, version, authority
    )


_parse_known_line = lru_cache(1024)(_parse_line)


class RequestHead:
    """The head of one request."""

    __slots__ = (
        "_codings", "_hosts", "_lengths", "connection", "expects_continue", "has_body", "headers",
        "keep_alive", "line", "upgrade",
    )  # fmt: skip

    def __init__(self, line: RequestLine) -> None:
        self.line = line
        self.headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = line.version == "1.1"
        """True if the connection continues after this request: never with HTTP/1.0."""
        self.has_body = False
        """True if `Content-Length` or `Transfer-Encoding` announces a body, if only an empty one."""
        self.connection = b""
        """The options of `Connection`, in lower case."""
        self.upgrade = b""
        self.expects_continue = False
        self._hosts = 0
        self._lengths = b""
        self._codings: bytes | None = None

    @property
    def length(self) -> int | None:
        """The length of the body, None if it is chunked."""
        return None if self._codings is not None else int(self._lengths or b"0")

    @property
    def is_websocket(self) -> bool:
        """True if the client wants to continue with WebSocket."""
        return (
            self.upgrade.lower() == b"websocket"
            and has_token(self.connection, b"upgrade")
            and self.line.method == "GET"
        )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field; llhttp calls this."""
        name = name.lower()
        value = value.strip()
        self.headers.append((name, value))
        if name in _SPECIAL:
            if name == b"host":
                self._hosts += 1
            else:
                self._note(name, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self.has_body = True
            self._lengths += b"," + value if self._lengths else value
        elif name == b"transfer-encoding":
            self.has_body = True
            self._codings = value.lower() if self._codings is None else b"repeated"
        elif name == b"connection":
            self.connection += b"," + value.lower()
            self.keep_alive = self.keep_alive and not has_token(self.connection, b"close")
        elif name == b"upgrade":
            self.upgrade = value
        elif self.line.version == "1.1" and has_token(value.lower(), b"100-continue"):
            self.expects_continue = True

    def read_fields(self, fields: bytes) -> None:
        """Read the fields, up to and including the empty line. Raise `RequestError`."""
        try:
            HttpRequestParser(self).feed_data(_KNOWN_LINE + fields)
        except HttpParserUpgrade:
            pass  # llhttp would not read on: nor would we with this parser
        except HttpParserError:
            raise RequestError(400 if self._codings in (None, b"chunked") else 501) from None
        if len(self.headers) > MAX_FIELDS:
            raise RequestError(431)
        if self.has_body:
            self._check_framing()

    def _check_framing(self) -> None:
        if self._codings is not None:  # RFC 9112, section 6.1
            if self._lengths or self.line.version == "1.0":
                raise RequestError(400)
            if self._codings != b"chunked":
                raise RequestError(501)
        if self._lengths and not (self._lengths.isdigit() and len(self._lengths) <= _MAX_DIGITS):
            raise RequestError(400)

    def check_host(self) -> None:
        """Check that there is one Host (RFC 9112, section 3.2), and let the absolute form replace it."""
        if self._hosts != 1 and (self._hosts or self.line.version == "1.1"):
            raise RequestError(400)
        authority = self.line.authority
        if authority:
            self.headers = [each for each in self.headers if each[0] != b"host"]
            self.headers.insert(0, (b"host", authority))


_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"})


def read_head(head: bytes) -> RequestHead:
    """Return what a head says, which ends with its empty line. Raise `RequestError`."""
    if len(head) > MAX_HEAD:
        raise RequestError(431)
    end = head.find(b"\r\n")
    line = head[:end]
    found = RequestHead(_parse_known_line(line) if end <= _CACHED else _parse_line(line))
    found.read_fields(head[end + 2 :])
    found.check_host()
    return found


def check_trailers(fields: bytes) -> None:
    """Check the trailers of a chunked body, up to and including the empty line. Raise `RequestError`."""
    RequestHead(_TRAILERS).read_fields(fields)


_TRAILERS = RequestLine("GET", "/", b"/", b"", "1.1", b"")


def check_beginning(data: bytes, start: int) -> None:
    """Raise `RequestError` if `data` cannot be the beginning of a head; up to `start` it was checked."""
    if len(data) > MAX_HEAD:
        raise RequestError(431)
    if _BARE_LF.search(data, max(0, start - 1)) is not None or data[:1] < b"!":
        raise RequestError(400)
    end = data.find(b"\r\n")
    if end < 0:
        if _NOT_LINE.search(data, start) is not None:
            raise RequestError(400)
    elif end + 2 > start and not PREFACE.startswith(data):
        _parse_line(data[:end])


_BARE_LF = re.compile(rb"(?<!\r)\n")
_NOT_LINE = re.compile(rb"[^ -~\r]")


def has_token(values: bytes, token: bytes) -> bool:
    """Return whether a comma-separated list in lower case has `token`."""
    return token in values and token in [each.strip() for each in values.split(b",")]
