"""Redacts heads and bodies of HTTP messages, so that no secret reaches a log, an export or a screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from sys import intern

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
"""What follows a scheme in place of parameters (token68 in RFC 9110, section 11.2)."""

_PERSON = "from"
"""The mail address of whoever is responsible for the client (RFC 9110, section 10.1.2)."""

_LONGEST_CACHED = 256
"""Characters of a value that is remembered, as most values come again and again."""

_BODIES_CACHED = 64
"""Bodies that are remembered; 64 KiB at most are kept of one."""


def redact_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as text, names in lower case, secret values replaced (their scheme is kept).

    Interned: thousands of exchanges in the log have most of their headers in common.
    """
    return tuple((intern(name), intern(redact_header(name, value))) for name, value in _decoded(headers))


def redact_header(name: str, value: str) -> str:
    """The value of a header as it may be shown: what is secret in it is replaced."""
    return _cached_header(name, value) if len(value) <= _LONGEST_CACHED else _redact(name, value)


def redact_query(query: str) -> str:
    """A query string whose secret parameters are replaced; the others stay as they were spelled."""
    return "&".join(map(redact_parameter, query.split("&"))) if query else query


def redact_line(text: str) -> str:
    """A path, or a line of a timeline, with its secrets replaced."""
    return _cached_text(text) if len(text) <= _LONGEST_CACHED else redact_text(text)


def redact_target(target: Target) -> Target:
    """A target as it may be shown: if the path could not be read, there may be anything in it.

    Names of repositories, tags, digests and upload ids are shown as they are.
    """
    if target.error is None:
        return target
    repository, reference = redact_line(target.repository), redact_line(target.reference)
    return replace(target, repository=repository, reference=reference)


@lru_cache(_BODIES_CACHED)
def redact_body(data: bytes, *, is_document: bool) -> bytes:
    """A body whose secrets are replaced.

    In a document (a manifest, a list) a name does not make a value secret: annotations have names such as
    `org.example.signature`. Remembered: a long one takes milliseconds, and most are pulled again and again.
    """
    text = data.decode("utf-8", "surrogateescape")
    redacted = redact_forms(text) if is_document else redact_text(text)
    return data if redacted == text else redacted.encode("utf-8", "surrogateescape")


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)


def _redact(name: str, value: str) -> str:
    scheme, space, credentials = value.partition(" ")
    has_scheme = bool(space) and scheme.lower() in SCHEMES
    if (announces_secret(name) or name == _PERSON) and not is_flag(value):
        # A scheme that nobody knows may be a part of the secret.
        return f"{scheme} {REDACTED}" if has_scheme else REDACTED
    if has_scheme and _TOKEN.fullmatch(credentials.strip()):
        return f"{scheme} {REDACTED}"
    return redact_text(value)


_cached_header = lru_cache(4096)(_redact)
_cached_text = lru_cache(4096)(redact_text)
