"""Checks the heads of HTTP/2 requests, as strictly as those of HTTP/1.1 (RFC 9113, sections 8.2 and 8.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

Fields = list[tuple[bytes, bytes]]

_NAME = re.compile(rb":?[-!#$%&'*+.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"|[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?")
_METHOD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET = re.compile(rb"/[!-~]*|\*")
_PSEUDO = (b":method", b":scheme", b":authority", b":path")
_OF_CONNECTIONS = (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
_CACHED = 256


class MalformedError(Exception):
    """A malformed request, whose stream is reset; the message says what is wrong with it."""


class RequestHead(NamedTuple):
    """What the head of a request says; `fields` begin with `host`. `length` is its Content-Length."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    fields: Fields
    length: int | None


def read_head(headers: Iterable[tuple[bytes, bytes]], *, ends: bool) -> RequestHead:
    """Return what a decoded header block says; `ends` says that no body follows. Raise `MalformedError`."""
    pseudo: dict[bytes, bytes] = {}
    fields: Fields = [(b"host", b"")]
    host = length = None
    for name, value in headers:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise MalformedError("a header has a character that is not allowed")
        if name[0] == 0x3A:  # a colon
            if len(fields) > 1 or name in pseudo or name not in _PSEUDO:
                raise MalformedError(f"{name.decode('ascii')} is repeated, misplaced or unknown")
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
    path = _cached_path(target) if len(target) <= _CACHED else _path(target)
    return RequestHead(method.decode("ascii").upper(), *path, fields, length)


def _path(target: bytes) -> tuple[str, bytes, bytes]:
    """Return a path, decoded and as it was sent, and the query."""
    if _TARGET.fullmatch(target) is None:
        raise MalformedError(":path is missing or malformed")
    raw_path, _, query = target.partition(b"?")
    return unquote(raw_path.decode("ascii")), raw_path, query


_cached_path = lru_cache(1024)(_path)
