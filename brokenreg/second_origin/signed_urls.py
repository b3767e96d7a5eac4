"""Signed URLs of the second origin: what each one allows, and until when.

They are a small version of the presigned URLs of object stores. The signature (HMAC-SHA-256, RFC 2104) covers
everything that decides what is served: path, methods, expiry, answer, the listener that issued the URL, and
the query that the registry sees. It does not cover `digest`, because clients add it to a PUT.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode

SIGNATURE = "sig"
"""The query parameter that holds the signature, as in a shared access signature (SAS) of Azure."""

_TERMS = "terms"
_UNSIGNED = "digest"

LIFETIME = 3600.0
"""Default lifetime of a signed URL, in seconds."""


class Allowed(StrEnum):
    """The methods that a signed URL allows."""

    HEAD = "head"
    READ = "read"
    WRITE = "write"
    SESSION = "session"
    """The methods of an upload session."""

    def includes(self, method: str) -> bool:
        """Return whether a method is allowed."""
        return method in _METHODS[self]


_METHODS = {
    Allowed.HEAD: frozenset({"HEAD"}),
    Allowed.READ: frozenset({"GET", "HEAD"}),
    Allowed.WRITE: frozenset({"POST", "PATCH", "PUT"}),
    Allowed.SESSION: frozenset({"POST", "PATCH", "PUT", "GET", "DELETE"}),
}


class Answer(StrEnum):
    """How a signed URL is answered."""

    CONTENT = "content"
    HTML = "html"
    """200 with an HTML page, as from a login portal."""
    LANDING_PAGE = "landing-page"
    """200 with an HTML page of 11,500 bytes."""
    CAPTCHA = "captcha"
    """200 with an HTML page that asks for a proof that the client is a person."""
    EXPIRED_R2 = "expired-r2"
    """403 with the XML document that R2 sends for an expired URL."""
    LIMITED = "limited"
    """429 without a body."""
    NOT_FOUND = "not-found"
    """404 with an XML document."""
    REJECTS_AUTHORIZATION = "rejects-authorization"
    """400 with an XML document to a request with Authorization, else the content."""
    CHALLENGE = "challenge"
    """401 with a challenge to a request without Authorization, else the content."""
    LOOP = "loop"
    """A redirect to the same URL."""


@dataclass(frozen=True, slots=True)
class SignedURL:
    """What one signed URL allows.

    `until` is in milliseconds since the epoch. `hops` is the number of redirects, with `status`, before the
    answer. `query` is the part of the query that the registry sees. `listener` identifies the registry
    listener that issued the URL.
    """

    path: str
    query: str
    allowed: Allowed
    until: int
    answer: Answer = Answer.CONTENT
    hops: int = 0
    status: int = 307
    listener: str = ""

    @property
    def has_expired(self) -> bool:
        return time.time() * 1000 >= self.until


class SignedURLError(Exception):
    """A URL allows nothing. `code` and message are those that object stores use."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class URLSigner:
    """Signs URLs, and verifies those that were signed with the same key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def spell(self, signed: SignedURL) -> str:
        """Return the path and query of a signed URL."""
        terms = _terms(signed)
        ours = urlencode({_TERMS: terms, SIGNATURE: self._sign(terms, signed.path, signed.query)})
        return f"{quote(signed.path, safe='/:@')}?{'&'.join(filter(None, (signed.query, ours)))}"

    def read(self, path: str, query: str, method: str) -> SignedURL:
        """Return what a URL (decoded path, raw query) allows. Raise `SignedURLError` if that is nothing."""
        pairs = parse_qsl(query, keep_blank_values=True)
        ours = {name: value for name, value in pairs if name in (_TERMS, SIGNATURE)}
        rest = urlencode([pair for pair in pairs if pair[0] not in ours])
        terms, signature = ours.get(_TERMS, ""), ours.get(SIGNATURE, "")
        if not (terms and signature):
            raise SignedURLError("AccessDenied", "only signed URLs are served here")
        if not hmac.compare_digest(self._sign(terms, path, rest).encode(), signature.encode()):
            raise SignedURLError("SignatureDoesNotMatch", "the URL was changed after it was signed")
        signed = _read_terms(terms, path, rest)
        if signed.has_expired:
            raise SignedURLError("AccessDenied", "Request has expired")
        if not signed.allowed.includes(method):
            raise SignedURLError("SignatureDoesNotMatch", f"the URL was not signed for {method}")
        return signed

    def _sign(self, terms: str, path: str, query: str) -> str:
        """Return the signature. It covers the decoded query, because clients reorder and requote queries."""
        signed = sorted(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != _UNSIGNED)
        return hmac.new(self._key, json.dumps([terms, path, signed]).encode(), hashlib.sha256).hexdigest()


def has_terms(query: str) -> bool:
    """Return whether a URL has the parameters of a signed URL."""
    return any(name == _TERMS for name, _ in parse_qsl(query, keep_blank_values=True))


def _terms(signed: SignedURL) -> str:
    terms = (signed.allowed, signed.until, signed.answer, signed.hops, signed.status, signed.listener)
    return ".".join(map(str, terms))


def _read_terms(terms: str, path: str, query: str) -> SignedURL:
    """Parse terms whose signature is valid, and which `_terms` therefore wrote."""
    allowed, until, answer, hops, status, listener = terms.split(".", 5)
    return SignedURL(
        path, query, Allowed(allowed), int(until), Answer(answer), int(hops), int(status), listener
    )
