"""How the request of an exchange is spelled again: its URL, and the headers that can be repeated."""

from __future__ import annotations

import re
from urllib.parse import quote

from brokenreg.redaction import REDACTED
from brokenreg.traffic.exchange import Exchange, Headers

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""

_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_PATH = "/:@!$&'()*+,;=~-._"
_QUERY = _PATH + "?%"
_OF_THE_CONNECTION = frozenset(
    {"host", "connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"}
)


def is_token(text: str) -> bool:
    """Whether it can be a method or the name of a header (RFC 9110)."""
    return _TOKEN.fullmatch(text) is not None


def target_of(exchange: Exchange) -> str:
    """Path and query; the path percent-encoded anew, as it was decoded when it came."""
    path = quote(exchange.path, safe=_PATH, errors="replace")
    if not exchange.query:
        return path
    return f"{path}?{quote(exchange.query, safe=_QUERY, encoding='latin-1', errors='replace')}"


def url_of(exchange: Exchange, base: str) -> str:
    """At the host that was asked for; at `base` (a URL without a path) if that was none."""
    host = exchange.request_header("host")
    place = f"{exchange.scheme}://{host}" if _AUTHORITY.fullmatch(host) else base
    return place + target_of(exchange)


def repeatable_headers(exchange: Exchange) -> tuple[Headers, list[str]]:
    """The headers that another request may have too, and the names of those left out as they were secret.

    Those of the connection (RFC 9110, section 7.6.1), the host and the length are neither.
    """
    kept, left_out = [], []
    for name, value in exchange.request_headers:
        if name in _OF_THE_CONNECTION or not is_token(name) or not _is_text(value):
            continue
        if REDACTED in value:
            left_out.append(name)
        else:
            kept.append((name, value))
    return tuple(kept), left_out


def has_secret_url(exchange: Exchange) -> bool:
    """Whether a part of the path or the query was a secret and was replaced."""
    return REDACTED in exchange.query or REDACTED in exchange.path


def had_body(exchange: Exchange) -> bool:
    """Whether the request had a body, or announced one that nobody read."""
    announced = exchange.request_header("content-length") not in ("", "0")
    return bool(exchange.request_bytes) or announced or bool(exchange.request_header("transfer-encoding"))


def _is_text(value: str) -> bool:
    """Whether a value is printable ASCII; nothing else means the same to everybody."""
    return all(" " <= character <= "~" or character == "\t" for character in value)
