"""What never reaches a log, an export or a screen: credentials in headers and queries."""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from urllib.parse import unquote_plus

REDACTED = "***"

SCHEMES = {"basic": "Basic", "bearer": "Bearer", "digest": "Digest", "negotiate": "Negotiate", "ntlm": "NTLM"}
"""Schemes of authentication (RFC 9110, section 11.1), in lower case, and how they are written."""

_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-registry-auth", "x-api-key"}
)
_URL_HEADERS = frozenset({"location", "referer"})
_SECRET_NAMES = ("sig", "pwd", "auth")
_SECRET_WORDS = (
    "token",
    "password",
    "passwd",
    "secret",
    "signature",
    "credential",
    "access_key",
    "api_key",
)


def redact_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as text, names in lower case, secret values replaced (their scheme is kept).

    Interned: thousands of exchanges in the log have most of their headers in common.
    """
    return tuple((intern(name), intern(_redact(name, value))) for name, value in _decoded(headers))


def redact_query(query: str) -> str:
    """A query string whose secret parameters are replaced; the others stay as they were spelled."""
    return "&".join(_redact_parameter(parameter) for parameter in query.split("&"))


def _redact_parameter(parameter: str) -> str:
    key, equals, _ = parameter.partition("=")
    return f"{key}={REDACTED}" if equals and _is_secret(unquote_plus(key).lower()) else parameter


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)


def _redact(name: str, value: str) -> str:
    if name in _URL_HEADERS:
        place, mark, query = value.partition("?")
        return f"{place}{mark}{redact_query(query)}"
    if name not in _SECRET_HEADERS:
        return value
    scheme, space, _ = value.partition(" ")
    # A scheme that nobody knows may be a part of the secret.
    is_scheme = bool(space) and "authorization" in name and scheme.lower() in SCHEMES
    return f"{scheme} {REDACTED}" if is_scheme else REDACTED


def _is_secret(key: str) -> bool:
    return key in _SECRET_NAMES or any(word in key for word in _SECRET_WORDS)
