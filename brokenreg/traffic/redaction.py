"""Redacts heads and bodies of HTTP messages, so that no secret reaches a log, an export or a screen.

Of credentials, only the user's name is kept, so that rules can match it.
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
"""Maximum length of a header or text whose redacted form is cached, in characters; most are repeated."""

_BODIES_CACHED = 64
"""Maximum number of remembered bodies; at most 64 KiB of each are kept."""

HEADER_SIZE = 192
"""Bytes of memory of one header in addition to its characters: a tuple and two strings."""

BLOCK_SIZE = 256
FIELD_SIZE = 8
"""Bytes of memory of a block of headers, and of the place of one header in it."""

_HEADERS_CACHED = 4096
_BLOCKS_CACHED = 1024
_MOST_FIELDS_CACHED = 24
_LONGEST_BLOCK_CACHED = 2048
"""Maximum number of remembered headers and blocks; maximum number of fields and bytes of such a block."""

_LONGEST_CREDENTIALS = 16 * 1024
_LONGEST_USER = 256
"""Maximum length of a user's name, in characters."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class _Remembered(dict[Key, Value]):
    """A bounded number of entries; if they are too many, all are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most

    def add(self, key: Key, value: Value) -> None:
        if len(self) >= self._most:
            self.clear()
        self[key] = value


class HeaderBlock(tuple[tuple[str, str], ...]):
    """The headers of one message, secrets replaced. Equal ones are one object while it is remembered."""

    uncounted: int
    """Bytes of memory that it takes in addition to what the log has counted."""


def redact_headers(headers: Iterable[tuple[bytes, bytes]]) -> HeaderBlock:
    """Return headers as text, names in lower case, with secret values replaced (their scheme is kept).

    Most are the same in thousands of exchanges. These share their text.
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
    """Forget the headers, texts and bodies that are remembered to share them."""
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
    """A query string whose secret parameters are replaced; the others stay as they were spelled."""
    return "&".join(map(redact_parameter, query.split("&"))) if query else query


def redact_line(text: str) -> str:
    """Return a path, or a line of a timeline, with its secrets replaced."""
    return _cached_text(text) if len(text) <= _LONGEST_CACHED else redact_text(text)


def redact_target(target: Target) -> Target:
    """Return a target with its secrets replaced; if its path is invalid, it may contain anything.

    Names of repositories, tags, digests and upload ids are shown as they are. The error is a new one: that of
    the request refers to everything that was under way when it was raised.
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

    In a document (a manifest, a list), names do not make values secret: annotations have names such as
    `org.example.signature`. Results are cached: a long body takes milliseconds, and most are repeated.
    """
    text = data.decode("utf-8", "surrogateescape")
    redacted = redact_forms(text) if is_document else redact_text(text)
    return data if redacted == text else redacted.encode("utf-8", "surrogateescape")


_headers: _Remembered[tuple[bytes, bytes], tuple[str, str]] = _Remembered(_HEADERS_CACHED)
_blocks: _Remembered[tuple[tuple[bytes, bytes], ...], HeaderBlock] = _Remembered(_BLOCKS_CACHED)
_cached_text = lru_cache(4096)(redact_text)


def user_of(authorization: str) -> str:
    """Return the user of Basic credentials, the unverified subject of a JWT, or an empty string.

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
