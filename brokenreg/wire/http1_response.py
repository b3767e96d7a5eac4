"""Writes the heads of HTTP/1.1 responses: the header fields as given, a date, and what frames the body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import NamedTuple

from brokenreg.http.dates import http_date

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_NONE: frozenset[bytes] = frozenset()
_VALUE = bytes(set(range(256)) - set(b"\0\n\v\f\r"))
_BODILESS = (204, 304)
_CACHED_HEADS = 512
_CACHED_SIZE = 2048
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})

CONTINUE = b"HTTP/1.1 100 Continue\r\n"


class ResponseLengthError(Exception):
    """A response whose body is longer or shorter than its Content-Length."""


class ResponseHead(NamedTuple):
    """The head of a response, before the connection is considered."""

    lines: bytes
    """The status line and the fields, without the empty line."""
    length: int | None
    """The Content-Length."""
    is_bodiless: bool
    is_simple: bool
    """True if it is sent as it is on a connection that continues, with a date."""
    connection: frozenset[bytes]
    """The options of `connection`, in lower case."""


_heads: dict[tuple[int, tuple[tuple[bytes, bytes], ...]], ResponseHead] = {}


def response_head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    """Return the head of a response; small ones are cached. Raise `ValueError` if a field is malformed."""
    key = status, tuple(headers)  # the same tuple, if it is one
    head = _heads.get(key)
    if head is None:
        head = _response_head(status, headers)
        if len(head.lines) <= _CACHED_SIZE:
            if len(_heads) >= _CACHED_HEADS:
                _heads.clear()
            _heads[key] = head
    return head


def _response_head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lower = _lower(name)
        lines.append(b": ".join((name.strip(), value.strip())))
        if lower in _FRAMING:
            framing.setdefault(lower, []).extend(value.lower().replace(b" ", b"").split(b","))
    lines.append(b"")
    data = b"\r\n".join(lines)
    if len(data.translate(None, _VALUE)) != 2 * len(headers) + 2:
        raise ValueError(f"a header of the response has a line break or NUL in its value: {headers!r}")
    length = None
    if b"content-length" in framing and b"transfer-encoding" not in framing:
        length, *others = map(int, framing[b"content-length"])
        if length < 0 or any(other != length for other in others):
            raise ValueError(f"the Content-Length of the response is malformed: {headers!r}")
    connection = frozenset(framing[b"connection"]) if b"connection" in framing else _NONE
    is_bodiless = status in _BODILESS
    is_simple = (is_bodiless or length is not None) and not connection
    return ResponseHead(data, length, is_bodiless, is_simple, connection)


@lru_cache(256)
def _lower(name: bytes) -> bytes:
    """Return the name of a field in lower case. Raise `ValueError` if it is malformed."""
    if _NAME.fullmatch(name.strip()) is None:
        raise ValueError(f"the name of a header of the response is malformed: {name!r}")
    return name.strip().lower()


class Framing(NamedTuple):
    """How a response is sent on its connection.

    `length` is -1 if it is chunked, and None if the end of the connection ends it.
    """

    head: bytes
    length: int | None
    keep_alive: bool


def framed(head: ResponseHead, *, version: str, keep_alive: bool) -> Framing:
    """Return how a response is sent, by h11's rules (RFC 9112, section 6.3)."""
    lines, length, after = head.lines, head.length, b""
    if length is None and not head.is_bodiless:
        lines = _without(lines, b"content-length", b"transfer-encoding")
        if version == "1.1":
            length = -1
            after = b"Transfer-Encoding: chunked\r\n"
    if not keep_alive:
        lines = _without(lines, b"connection")
        options = sorted(head.connection - {b"keep-alive"} | {b"close"})
        after += b"".join([b"Connection: %b\r\n" % option for option in options])
    return Framing(
        lines + date_line() + after + b"\r\n", length, keep_alive and b"close" not in head.connection
    )


def _without(lines: bytes, *names: bytes) -> bytes:
    kept = [line for line in lines.splitlines(keepends=True) if line.partition(b":")[0].lower() not in names]
    return b"".join(kept)


def date_line() -> bytes:
    """Return the field `date`, with the end of its line."""
    return _date_line(int(time()))


@lru_cache(1)
def _date_line(second: int) -> bytes:
    return b"date: %b\r\n" % http_date(second).encode("ascii")


@lru_cache(1)
def _date_and_end(second: int) -> bytes:
    return _date_line(second) + b"\r\n"


def simple_head(head: ResponseHead) -> bytes:
    """Return what is sent of a head that `is_simple`."""
    return head.lines + _date_and_end(int(time()))


def error_response(status: int) -> bytes:
    """Return the whole response to what is not a valid request."""
    head = b"HTTP/1.1 %d %b\r\n" % (status, _REASONS[status])
    return head + b"content-length: 0\r\nconnection: close\r\n" + date_line() + b"\r\n"
