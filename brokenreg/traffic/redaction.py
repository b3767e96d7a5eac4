"""Redacts the heads and bodies of HTTP messages, so that no secret reaches a log, an export or a screen.

Of credentials, only the user name is kept, so that rules can match it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Target
from brokenreg.redaction import (
    REDACTED,
    SCHEMES,
    announces_secret,
    is_flag,
    redact_forms,
    redact_parameter,
    redact_text,
)

_TOKEN = re.compile(r"[\w.~+/-]+=*")
"""A value after a scheme instead of parameters (token68 in RFC 9110, section 11.2)."""

_PERSON = "from"
"""The header with the e-mail address of the person who runs the client (RFC 9110, section 10.1.2)."""

_LONGEST_CACHED = 256
"""Maximum length of a header or text whose redacted form is cached, in characters."""

_BODIES_CACHED = 64
"""Maximum number of cached bodies. Each has at most 64 KiB."""

HEADER_SIZE = 192
"""Memory of one header in addition to its characters, in bytes: a tuple and two strings."""

BLOCK_SIZE = 256
FIELD_SIZE = 8
"""Memory of a block of headers, and of the reference to one header in it, in bytes."""

_HEADERS_CACHED = 4096
_BLOCKS_CACHED = 1024
_MOST_FIELDS_CACHED = 24
_LONGEST_BLOCK_CACHED = 2048
"""Maximum number of cached headers and blocks, and of fields and bytes of a cached block."""

_LONGEST_CREDENTIALS = 16 * 1024
_LONGEST_USER = 256
"""Maximum length of a user name, in characters."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class _Remembered(dict[Key, Value]):
    """A cache with a limited number of entries. If there are too many, all are removed."""

    def __init__(self, most: int) -> None:
        self._most = most

    def add(self, key: Key, value: Value) -> None:
        if len(self) >= self._most:
            self.clear()
        self[key] = value


class HeaderBlock(tuple[tuple[str, str], ...]):
    """The headers of one message, with secrets replaced. Equal headers share an object while it is cached."""

    uncounted: int
    """The memory that the log has not counted yet, in bytes."""


def redact_headers(headers: Iterable[tuple[bytes, bytes]]) -> HeaderBlock:
    """Return headers as text, with names in lower case and secrets replaced. Schemes are kept.

    Most headers are the same in thousands of exchanges, which share their text.
    """
    fields = tuple(headers)
    block = _blocks.get(fields)
    return _redact_fields(fields) if block is None else block


def _redact_fields(fields: tuple[tuple[bytes, bytes], ...]) -> HeaderBlock:
    size = length = 0
    redacted = []
    for field in fields:
        header = _headers.get(field)
        length += len(field[0]) + len(field[1])
        if header is None:
            header = _redact_field(field)
            size += HEADER_SIZE + len(header[0]) + len(header[1])
            if len(field[0]) + len(field[1]) <= _LONGEST_CACHED:
                _headers.add(field, header)
        redacted.append(header)
    block = HeaderBlock(redacted)
    block.uncounted = BLOCK_SIZE + FIELD_SIZE * len(block) + size
    if len(fields) <= _MOST_FIELDS_CACHED and length <= _LONGEST_BLOCK_CACHED:
        _blocks.add(fields, block)
    return block


def _redact_field(field: tuple[bytes, bytes]) -> tuple[str, str]:
    name = field[0].decode("latin-1").lower()
    return name, redact_header(name, field[1].decode("latin-1"))


def forget_texts() -> None:
    """Empty the caches of headers, texts and bodies."""
    _headers.clear()
    _blocks.clear()
    _cached_text.cache_clear()
    redact_body.cache_clear()


def redact_header(name: str, value: str) -> str:
    """Return the value of a header with its secrets replaced."""
    scheme, space, credentials = value.partition(" ")
    has_scheme = bool(space) and scheme.lower() in SCHEMES
    if (announces_secret(name) or name == _PERSON) and not is_flag(value):
        # An unknown scheme may be a part of the secret.
        return f"{scheme} {REDACTED}" if has_scheme else REDACTED
    if has_scheme and _TOKEN.fullmatch(credentials.strip()):
        return f"{scheme} {REDACTED}"
    return redact_text(value)


def redact_query(query: str) -> str:
    """Return a query string with secret parameters replaced. The others stay unchanged."""
    return "&".join(map(redact_parameter, query.split("&"))) if query else query


def redact_line(text: str) -> str:
    """Return a path, or a line of a timeline, with its secrets replaced."""
    return _cached_text(text) if len(text) <= _LONGEST_CACHED else redact_text(text)


def redact_target(target: Target) -> Target:
    """Return a target with its secrets replaced. Only an invalid path can contain secrets.

    Names of repositories, tags, digests and upload IDs stay unchanged. The error is replaced by a new one,
    because the original refers to the frames of the request.
    """
    error = target.error
    if error is None:
        return target
    repository = redact_line(target.repository)
    return replace(
        target,
        name=repository if target.name == target.repository else redact_line(target.name),
        repository=repository,
        reference=redact_line(target.reference),
        error=OCIError(error.status, error.code, redact_line(error.message)),
    )


@lru_cache(_BODIES_CACHED)
def redact_body(data: bytes, *, is_document: bool) -> bytes:
    """Return a body with its secrets replaced.

    In a document (a manifest or a list), names do not make values secret, because annotations have names such
    as `org.example.signature`. Results are cached: a long body takes milliseconds, and most are repeated.
    """
    text = data.decode("utf-8", "surrogateescape")
    redacted = redact_forms(text) if is_document else redact_text(text)
    return data if redacted == text else redacted.encode("utf-8", "surrogateescape")


_headers: _Remembered[tuple[bytes, bytes], tuple[str, str]] = _Remembered(_HEADERS_CACHED)
_blocks: _Remembered[tuple[tuple[bytes, bytes], ...], HeaderBlock] = _Remembered(_BLOCKS_CACHED)
_cached_text = lru_cache(4096)(redact_text)


def user_of(authorization: str) -> str:
    """Return the user of Basic credentials, the unverified subject of a JWT, or "".

    Sources: RFC 7617 (Basic), RFC 7519, section 4.1.2 (`sub`).
    """
    scheme, _, credentials = authorization.partition(" ")
    if len(credentials) > _LONGEST_CREDENTIALS:
        return ""
    match scheme.lower():
        case "basic":
            user = _decoded(credentials.strip()).partition(":")[0]
        case "bearer":
            user = _subject(credentials.strip())
        case _:
            user = ""
    return user[:_LONGEST_USER]


def _subject(token: str) -> str:
    parts = token.split(".")
    try:
        claims = json.loads(_decoded(parts[1]) if len(parts) == 3 else "")
    except (ValueError, RecursionError):
        return ""
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) else ""


def _decoded(text: str) -> str:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare.encode("latin-1") + b"=" * (-len(bare) % 4)).decode()
    except (binascii.Error, UnicodeError):
        return ""
