"""Tickets: what a signed URL of the second origin allows, and until when.

An object store's presigned URL in small. The signature (HMAC-SHA-256, RFC 2104, with a key that lives as
long as the run) covers all that decides what is served: path, methods, end, answer, the listener that was
asked, and the query that the registry will see; but not `digest`, which clients add to a PUT, and which
names nothing but content.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode

SIGNATURE = "signature"
"""The query parameter with the signature of a URL."""

_TICKET = "ticket"
_UNSIGNED = "digest"

LIFETIME = 3600.0
"""Seconds that a signed URL works unless told otherwise."""


class Allowed(StrEnum):
    """The methods that a ticket is for."""

    HEAD = "head"
    READ = "read"
    WRITE = "write"
    SESSION = "session"
    """The steps of an upload."""

    def includes(self, method: str) -> bool:
        return method in _METHODS[self]


_METHODS = {
    Allowed.HEAD: frozenset({"HEAD"}),
    Allowed.READ: frozenset({"GET", "HEAD"}),
    Allowed.WRITE: frozenset({"POST", "PATCH", "PUT"}),
    Allowed.SESSION: frozenset({"POST", "PATCH", "PUT", "GET", "DELETE"}),
}


class Answer(StrEnum):
    """What is answered to a ticket."""

    CONTENT = "content"
    HTML = "html"
    """200 with a page, as a login portal answers."""
    LOOP = "loop"
    """A redirect to the same URL."""


@dataclass(frozen=True, slots=True)
class SignedURL:
    """What one signed URL allows.

    `until` is in milliseconds since the epoch; `hops` are the redirects, with `status`, that still stand
    before the answer; `query` is what the registry shall see of the URL's; `listener` is the registry that
    the listener stands for at which the URL was given.
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
    """A URL that allows nothing: `code` and message are what an object store would say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class URLSigner:
    """Signs and reads the tickets of one run."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def spell(self, ticket: SignedURL) -> str:
        """Path and query of the signed URL."""
        terms = _terms(ticket)
        ours = urlencode({_TICKET: terms, SIGNATURE: self._sign(terms, ticket.path, ticket.query)})
        return f"{quote(ticket.path, safe='/:@')}?{'&'.join(filter(None, (ticket.query, ours)))}"

    def read(self, path: str, query: str, method: str) -> SignedURL:
        """The ticket in a URL (decoded path, raw query). Raise `SignedURLError` if it allows nothing."""
        pairs = parse_qsl(query, keep_blank_values=True)
        ours = {name: value for name, value in pairs if name in (_TICKET, SIGNATURE)}
        rest = urlencode([pair for pair in pairs if pair[0] not in ours])
        terms, signature = ours.get(_TICKET, ""), ours.get(SIGNATURE, "")
        if not (terms and signature):
            raise SignedURLError("AccessDenied", "only signed URLs are served here")
        if not hmac.compare_digest(self._sign(terms, path, rest).encode(), signature.encode()):
            raise SignedURLError("SignatureDoesNotMatch", "the URL is not as it was signed")
        ticket = _read_terms(terms, path, rest)
        if ticket.has_expired:
            raise SignedURLError("AccessDenied", "Request has expired")
        if not ticket.allowed.includes(method):
            raise SignedURLError("SignatureDoesNotMatch", f"the URL was not signed for {method}")
        return ticket

    def _sign(self, terms: str, path: str, query: str) -> str:
        """Over the query as it means, not as it is spelled: clients sort and quote it anew."""
        signed = sorted(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != _UNSIGNED)
        return hmac.new(self._key, json.dumps([terms, path, signed]).encode(), hashlib.sha256).hexdigest()


def has_ticket(query: str) -> bool:
    """Whether a URL claims to be signed."""
    return any(name == _TICKET for name, _ in parse_qsl(query, keep_blank_values=True))


def _terms(ticket: SignedURL) -> str:
    terms = (ticket.allowed, ticket.until, ticket.answer, ticket.hops, ticket.status, ticket.listener)
    return ".".join(map(str, terms))


def _read_terms(terms: str, path: str, query: str) -> SignedURL:
    """Of terms whose signature is good, so that they were spelled here."""
    allowed, until, answer, hops, status, listener = terms.split(".", 5)
    return SignedURL(
        path, query, Allowed(allowed), int(until), Answer(answer), int(hops), int(status), listener
    )
