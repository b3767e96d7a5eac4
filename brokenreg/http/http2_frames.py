"""Encodes and decodes HTTP/2: frames (RFC 9113, section 4) and heads (sections 8.2 and 8.3; RFC 7541).

It also counts frames, to detect floods.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

from h2.exceptions import DenialOfServiceError
from hpack import Encoder

from brokenreg.http.asgi import H2, Scope
from brokenreg.http.dates import http_date

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD = struct.Struct(">HBBBL")
"""The header of a frame: length (24 bits), type, flags and stream."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
FRAME_SIZE = 16384
"""Maximum payload that we accept, which is the default (RFC 9113, section 6.5.2)."""

NO_TABLE = b"\x20"
"""The first byte of a header block, which sets the size of the dynamic table to 0."""

ERROR_COST = 20.0
"""The cost of a client's error that ends a stream, for `FloodCounter`."""

_BURST, _LEAK = 1000.0, 100.0
"""The cost that a client may cause immediately, and per second after that. Most frames cost 1."""

_CACHED = 256
"""Maximum length of a path or header value that is cached."""

_REPEATED = (b"GET", b"HEAD")
"""Methods of requests whose path is remembered. Others are seldom the same twice: each upload has a URL."""

_NEVER_AGAIN = frozenset({b"location", b"docker-upload-uuid"})
"""Headers that have another value in almost every response, so that they are not remembered."""

_ENCODER = Encoder()
"""Encodes without the dynamic table, so that encoded fields are valid on all connections."""

_NAME = re.compile(rb":?[-!#$%&'*+.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"|[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?")
_METHOD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET = re.compile(rb"/[!-~]*|\*")
_PSEUDO = (b":method", b":scheme", b":authority", b":path")
_OF_CONNECTIONS = (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
"""Fields that belong to a connection of HTTP/1.1 (RFC 9113, section 8.2.2)."""


def frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview) -> bytes:
    """Return a frame."""
    size = len(payload)
    return b"".join((FRAME_HEAD.pack(size >> 8, size & 255, kind, flags, stream_id), payload))


def data_frames(stream_id: int, data: bytes | memoryview, size: int, *, end: bool) -> bytes:
    """Return DATA frames of at most `size` bytes. With `end`, the last one has END_STREAM."""
    pieces: list[bytes | memoryview] = []
    for at in range(0, len(data) or 1, size):
        part = data[at : at + size]
        flags = END_STREAM if end and at + size >= len(data) else 0
        pieces += (FRAME_HEAD.pack(len(part) >> 8, len(part) & 255, DATA, flags, stream_id), part)
    return b"".join(pieces)


def header_frames(stream_id: int, block: bytes, size: int, *, end: bool) -> bytes:
    """Return a HEADERS frame, and CONTINUATION frames if the block needs them."""
    parts = [block[at : at + size] for at in range(0, len(block), size)]
    kinds = [HEADERS, *[CONTINUATION] * (len(parts) - 1)]
    flags = [0] * len(parts)
    flags[0] |= END_STREAM if end else 0
    flags[-1] |= END_HEADERS
    return b"".join(map(frame, kinds, flags, [stream_id] * len(parts), parts))


def goaway(last_stream_id: int, code: int) -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last_stream_id, code))


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def header_block(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an encoded header block: the status, the headers in lower case, and the date.

    The dynamic table is not used. Headers that belong to a connection of HTTP/1.1 are omitted.
    """
    fields = [_status(status)]
    for name, value in headers:
        is_cached = len(value) <= _CACHED and name not in _NEVER_AGAIN
        fields.append(_cached_field(name, value) if is_cached else _field(name, value))
    fields.append(_date(int(time.time())))
    return b"".join(fields)


@lru_cache(64)
def _status(status: int) -> bytes:
    return _ENCODER.add((b":status", b"%d" % status), sensitive=True)


@lru_cache(1)
def _date(second: int) -> bytes:
    return _ENCODER.add((b"date", http_date(second).encode()), sensitive=True)


def _field(name: bytes, value: bytes) -> bytes:
    name = name.strip().lower()
    if name.startswith(b":"):
        raise ValueError(f"a response cannot have the header {name.decode('latin-1')!r}")
    if name in _OF_CONNECTIONS:
        return b""
    return _ENCODER.add((name, value.strip()), sensitive=True)


_cached_field = lru_cache(4096)(_field)


class MalformedError(Exception):
    """A request is malformed, so its stream is reset. The message says what is wrong with it."""


def read_head(headers: Iterable[tuple[bytes, bytes]], *, ends: bool) -> tuple[Scope, int | None]:
    """Convert a decoded header block to a part of an ASGI scope, and return it with the Content-Length.

    The checks are as strict as for HTTP/1.1. `ends` means that no body follows. Raise `MalformedError`.
    """
    pseudo: dict[bytes, bytes] = {}
    fields = [(b"host", b"")]
    host = length = None
    for name, value in headers:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise MalformedError("a header has a character that is not allowed")
        if name[0] == 0x3A:  # a colon
            if len(fields) > 1 or name in pseudo or name not in _PSEUDO:
                raise MalformedError(f"{name[:50].decode('ascii')} is repeated, misplaced or unknown")
            pseudo[name] = value
        elif name == b"host":
            if host is not None:
                raise MalformedError("host is repeated")
            host = value
        elif name in _OF_CONNECTIONS or (name == b"te" and value.lower() != b"trailers"):
            raise MalformedError(f"{name.decode('ascii')} is not allowed in HTTP/2")
        else:
            fields.append((name, value))
            if name == b"content-length":
                length = int(value)  # the h2 library has checked it
    authority = pseudo.get(b":authority", host)
    if authority is None or (host is not None and authority != host):
        raise MalformedError(":authority is missing, or differs from host")
    fields[0] = (b"host", authority)
    method = pseudo.get(b":method", b"")
    if _METHOD.fullmatch(method) is None or method == b"CONNECT" or b":scheme" not in pseudo:
        raise MalformedError("the method is malformed or CONNECT, or :scheme is missing")
    if ends and length:
        raise MalformedError("content-length announces a body that is missing")
    target = pseudo.get(b":path", b"")
    is_cached = method in _REPEATED and len(target) <= _CACHED
    path, raw_path, query = _cached_path(target) if is_cached else _path(target)
    return {
        "http_version": H2,
        "method": method.decode("ascii").upper(),
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": fields,
    }, length


def _path(target: bytes) -> tuple[str, bytes, bytes]:
    """Return the decoded path, the path as it was sent, and the query."""
    if _TARGET.fullmatch(target) is None:
        raise MalformedError(":path is missing or malformed")
    raw_path, _, query = target.partition(b"?")
    return unquote(raw_path.decode("ascii")), raw_path, query


_cached_path = lru_cache(1024)(_path)


class FloodCounter:
    """Counts frames of one connection that are cheap for the client but cause us work.

    The count decreases with time, and with useful traffic (bytes of bodies, completed requests).
    """

    def __init__(self) -> None:
        self._level = 0.0
        self._since = time.monotonic()

    def count(self, cost: float) -> None:
        """Count a frame. Raise `DenialOfServiceError` if there were too many."""
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._since) * _LEAK) + cost
        self._since = now
        if self._level > _BURST:
            raise DenialOfServiceError

    def credit(self, amount: float) -> None:
        """Reduce the count, because of useful traffic."""
        self._level = max(0.0, self._level - amount)
