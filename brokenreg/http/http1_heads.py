"""Reads the heads of HTTP/1.1 requests, as strictly as h11 or more, and writes the heads of responses.

The request line is parsed here, with h11's syntax, because llhttp only accepts a fixed list of methods.
llhttp parses the header fields, without any leniency. Each head has a new parser, so that nothing that a
client sends can change how the next head is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from time import time
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from brokenreg.http.asgi import Scope
from brokenreg.http.dates import http_date

Field = tuple[bytes, bytes]

MAX_HEAD = 64 * 1024
"""Maximum size of a request's head, or of the trailers after a chunked body, in bytes."""

MAX_FIELDS = 200
"""Maximum number of header fields of a request."""

CHUNKED = -1
"""The value of `length` for a chunked body."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""The part of the HTTP/2 preface (RFC 9113, section 3.4) that looks like a request."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n"

_CACHED = 1024
"""Maximum number of cached response heads, request lines and lines of header fields."""

_CACHED_LINE, _CACHED_HEAD = 256, 2048
"""Maximum length of a cached line or head, in bytes."""

_REPEATED = (b"GET ", b"HEAD ")
"""The beginning of request lines that are cached. Others are rarely repeated: each upload has its own URL."""

# Requests

_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_ABSOLUTE = re.compile(rb"[^/?]*://([^/?]*)(.*)", re.DOTALL)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_NOT_LINE = re.compile(rb"[^ -~\r]")
_SPECIAL = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"})
_MAX_DIGITS = 20


class RequestError(Exception):
    """A request is refused with `status`. The connection cannot continue after it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _parse_line(line: bytes) -> tuple[Scope, bytes]:
    """Return the scope entries of a request line, and the authority if absolute. Raise `RequestError`."""
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
    return {
        "http_version": "1.0" if minor == b"0" else "1.1",
        "method": method.decode("ascii").upper(),
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
    }, authority


_parse_known_line = lru_cache(_CACHED)(_parse_line)


class RequestHead:
    """The head of one request. `line` has the scope entries from the request line."""

    __slots__ = ("expects_continue", "headers", "keep_alive", "length", "line", "wants_websocket")

    def __init__(self, line: Scope, authority: bytes, headers: list[Field]) -> None:
        """Read the fields. Raise `RequestError` if they contradict each other."""
        self.line = line
        self.headers = headers
        self.keep_alive = line["http_version"] == "1.1"
        """True if the connection continues after this request. It never does with HTTP/1.0."""
        self.length = 0
        """The length of the body, or `CHUNKED`."""
        self.expects_continue = self.wants_websocket = False
        hosts = 0
        said: dict[bytes, bytes] = {}
        for name, value in headers:
            if name == b"host":
                hosts += 1
            elif name in _SPECIAL:
                said[name] = said[name] + b"," + value.lower() if name in said else value.lower()
        if hosts != 1 and (hosts or self.keep_alive):  # RFC 9112, section 3.2
            raise RequestError(400)
        if authority:
            self.headers = [(b"host", authority), *(each for each in headers if each[0] != b"host")]
        if said:
            self._note(said)

    def _note(self, said: dict[bytes, bytes]) -> None:
        """Read the fields about the connection and the body."""
        is_1_1 = self.keep_alive
        length, codings = said.get(b"content-length"), said.get(b"transfer-encoding")
        if codings is not None:  # RFC 9112, section 6.1
            if length is not None or not is_1_1:
                raise RequestError(400)
            if codings != b"chunked":
                raise RequestError(501)
            self.length = CHUNKED
        elif length is not None:
            if not (length.isdigit() and len(length) <= _MAX_DIGITS):
                raise RequestError(400)
            self.length = int(length)
        options = said.get(b"connection", b"")
        self.keep_alive = is_1_1 and not _has_token(options, b"close")
        self.expects_continue = is_1_1 and _has_token(said.get(b"expect", b""), b"100-continue")
        self.wants_websocket = (
            said.get(b"upgrade") == b"websocket"
            and _has_token(options, b"upgrade")
            and self.line["method"] == "GET"
        )


def _has_token(values: bytes, token: bytes) -> bool:
    """Return whether a comma-separated list in lower case contains `token`."""
    return token in values and token in [each.strip() for each in values.split(b",")]


_fields: dict[bytes, Field] = {}
"""Cached lines of fields of accepted heads. A line has the same meaning in every head."""


def read_head(head: bytes) -> RequestHead:
    """Parse a head, which is passed without the empty line at its end. Raise `RequestError`."""
    if len(head) > MAX_HEAD - 4:
        raise RequestError(431)
    lines = head.split(b"\r\n", MAX_FIELDS + 1)
    line = lines.pop(0)
    if len(lines) > MAX_FIELDS:
        raise RequestError(431)
    is_cached = len(line) <= _CACHED_LINE and line.startswith(_REPEATED)
    parsed, authority = _parse_known_line(line) if is_cached else _parse_line(line)
    try:
        return RequestHead(parsed, authority, list(map(_fields.__getitem__, lines)))
    except KeyError:
        headers = _parse_fields(lines)
    found = RequestHead(parsed, authority, headers)
    if len(_fields) > _CACHED:
        _fields.clear()
    _fields.update(each for each in zip(lines, headers, strict=True) if len(each[0]) <= _CACHED_LINE)
    return found


def _parse_fields(lines: list[bytes]) -> list[Field]:
    """Return the fields of some lines, with names in lower case. Raise `RequestError`."""
    found: list[Field] = []
    collector = SimpleNamespace(on_header=lambda name, value: found.append((name.lower(), value.strip())))
    try:
        HttpRequestParser(collector).feed_data(b"\r\n".join((b"GET / HTTP/1.1", *lines, b"", b"")))
    except HttpParserUpgrade:
        pass  # llhttp stops here, and the parser is not used again
    except HttpParserError:
        is_coded = any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in found)
        raise RequestError(501 if is_coded else 400) from None
    if len(found) != len(lines):
        raise RequestError(400)
    return found


def check_beginning(data: bytes, start: int) -> None:
    """Raise `RequestError` if `data` cannot be the beginning of a head. It was checked up to `start`."""
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


# Responses

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE = bytes(set(range(256)) - set(b"\0\n\v\f\r"))


class ResponseHead(NamedTuple):
    """The head of a response, and how its body is framed (RFC 9112, section 6.3)."""

    before: bytes
    """The part before the date."""
    after: bytes
    length: int | None
    """The length of the body, or `CHUNKED`, or None if the end of the connection ends it."""
    is_bodiless: bool
    keep_alive: bool
    """True if the connection continues."""

    def dated(self) -> bytes:
        """Return the bytes to send, with the current date."""
        return self.before + date_line() + self.after


_heads: dict[tuple[int, tuple[Field, ...], bool, bool], ResponseHead] = {}


def response_head(status: int, headers: Sequence[Field], *, is_1_1: bool, keep_alive: bool) -> ResponseHead:
    """Return the head of a response. Raise `ValueError` if a field is malformed."""
    key = status, tuple(headers), is_1_1, keep_alive  # does not copy a tuple
    head = _heads.get(key)
    if head is None:
        head = _response_head(*key)
        if len(head.before) <= _CACHED_HEAD and all(name != b"location" for name, _ in headers):
            if len(_heads) >= _CACHED:
                _heads.clear()
            _heads[key] = head
    return head


def _response_head(status: int, headers: tuple[Field, ...], is_1_1: bool, keep_alive: bool) -> ResponseHead:
    """Return a head with the framing that h11 would use."""
    lines = [(b"", b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b"")))]
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lower = _lower(name)
        lines.append((lower, b": ".join((name.strip(), value.strip()))))
        if lower in _SPECIAL:
            framing.setdefault(lower, []).extend(value.lower().replace(b" ", b"").split(b","))
    length, after, dropped, is_bodiless = None, b"", [], status in (204, 304)
    if b"content-length" in framing and b"transfer-encoding" not in framing:
        length, *others = map(int, framing[b"content-length"])
        if length < 0 or any(other != length for other in others):
            raise ValueError(f"invalid Content-Length in the response: {headers!r}")
    elif not is_bodiless:
        dropped = [b"content-length", b"transfer-encoding"]
        if is_1_1:
            length, after = CHUNKED, b"Transfer-Encoding: chunked\r\n"
    options = framing.get(b"connection", [])
    if not keep_alive:
        dropped.append(b"connection")
        options = sorted({*options, b"close"} - {b"keep-alive"})
        after += b"".join([b"Connection: %b\r\n" % option for option in options])
    kept = [line for lower, line in lines if lower not in dropped]
    before = b"\r\n".join((*kept, b""))
    if len(before.translate(None, _VALUE)) != 2 * len(kept):
        raise ValueError(f"a response header contains a line break or NUL: {headers!r}")
    return ResponseHead(before, after + b"\r\n", length, is_bodiless, keep_alive and b"close" not in options)


@lru_cache(256)
def _lower(name: bytes) -> bytes:
    """Return the name of a field in lower case. Raise `ValueError` if it is malformed."""
    if _NAME.fullmatch(name.strip()) is None:
        raise ValueError(f"invalid name of a response header: {name!r}")
    return name.strip().lower()


def date_line() -> bytes:
    """Return the line of the `date` field, including the line break."""
    return _date_line(int(time()))


@lru_cache(1)
def _date_line(second: int) -> bytes:
    return b"date: %b\r\n" % http_date(second).encode("ascii")


def error_response(status: int) -> bytes:
    """Return the whole response to an invalid request."""
    headers = ((b"content-length", b"0"), (b"connection", b"close"))
    return response_head(status, headers, is_1_1=True, keep_alive=True).dated()
