"""Records bodies of manifests, lists and errors, but never blobs or tokens."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

from brokenreg.http.asgi import CUT, RAW, Message
from brokenreg.oci.target import Endpoint
from brokenreg.redaction import REDACTED
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.redaction import redact_body
from brokenreg.wording import counted

MOST = 64 * 1024
"""Maximum number of bytes of one body. The first bytes are kept."""

TOTAL = 16 * 1024 * 1024
"""Default maximum number of bytes of all bodies. Those of the oldest exchanges are dropped first."""

_CACHED = 64
"""Maximum number of cached bodies of responses, which exchanges share."""

_PING, _TOKEN = Endpoint.PING, Endpoint.TOKEN
_DOCUMENTS = frozenset(
    {Endpoint.PING, Endpoint.MANIFEST, Endpoint.TAGS, Endpoint.REFERRERS, Endpoint.CATALOG}
)


@dataclass(frozen=True, slots=True)
class Body:
    """The first bytes of a body, and its full size. `is_redacted` is true if secrets were replaced."""

    data: bytes
    size: int
    is_redacted: bool = False

    @classmethod
    def of(cls, data: bytes, size: int, *, is_document: bool) -> Body:
        """Return a body with secrets replaced. `data` has its first bytes."""
        redacted = redact_body(data, is_document=is_document)
        return cls(redacted, size, redacted != data)

    @property
    def is_whole(self) -> bool:
        """Return whether `data` has exactly the transferred bytes."""
        return len(self.data) == self.size and not self.is_redacted

    @property
    def remark(self) -> str:
        """Return how `data` differs from the transferred body, as text for users, or ""."""
        if self.is_redacted:
            return f"secrets were replaced by {REDACTED}"
        return "" if self.is_whole else f"the first {len(self.data)} of {counted(self.size, 'byte')}"


@dataclass(frozen=True, slots=True)
class Kept:
    """The bodies of one exchange. None means that there was no body, or that it was not kept."""

    request: Body | None = None
    response: Body | None = None
    length: int = field(init=False)
    """The size of both, in bytes."""

    def __post_init__(self) -> None:
        length = sum(len(body.data) for body in (self.request, self.response) if body is not None)
        object.__setattr__(self, "length", length)


NOTHING = Kept()


class Bodies:
    """The bodies of the newest exchanges, at most `total` bytes."""

    def __init__(self, total: int = TOTAL) -> None:
        self._total = total
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self.length = 0
        """The size of all bodies, in bytes."""

    def of(self, exchange: Exchange) -> Kept:
        """Return the bodies of an exchange that has ended."""
        return self._kept.get(exchange.id, NOTHING)

    def keep(self, exchange: Exchange, kept: Kept) -> None:
        """Keep the bodies of an exchange that ends, and drop those of the oldest exchanges."""
        if 0 < kept.length <= self._total:
            self.drop(exchange.id)
            self._kept[exchange.id] = kept
            self.length += kept.length
            self._drop_oldest()

    def keep_whole(self, exchange: Exchange, body: bytes) -> None:
        """Keep the body of a response that was sent as a whole, if it may be kept."""
        if body and (form := form_of(exchange)) is not None:
            kept = _kept_response(body[:MOST], len(body), form is Form.DOCUMENT)
            self._kept[exchange.id] = kept
            self.length += kept.length
            if self.length > self._total:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self.length > self._total:
            self.length -= self._kept.popitem(last=False)[1].length

    @staticmethod
    def forget_shared() -> None:
        """Empty the cache of bodies that exchanges share."""
        _kept_response.cache_clear()

    def drop(self, exchange_id: int) -> None:
        """Drop the bodies of one exchange."""
        kept = self._kept.pop(exchange_id, None)
        if kept is not None:
            self.length -= kept.length


class BodyTap:
    """Collects the bodies of one exchange while they are transferred, if they may be kept."""

    __slots__ = ("_data", "_exchange", "_request", "_size")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._request: bytes | bytearray | None = None
        if exchange.method == "PUT" and exchange.target.endpoint is Endpoint.MANIFEST:
            self._request = b""
        self._data: bytes | bytearray | None = None
        self._size = 0

    def request(self, data: bytes) -> None:
        """Collect a piece of the request's body."""
        if self._request is not None:
            self._request = _extended(self._request, data)

    def response(self, message: Message) -> None:
        """Collect a message of the response."""
        kind = message["type"]
        if kind == "http.response.start":
            self._data = None if form_of(self._exchange) is None else b""
        elif self._data is None or kind == CUT:
            return
        elif kind == RAW:  # the bytes include framing
            self._size += message["body"]
        else:
            data = message.get("body", b"")
            self._size += len(data)
            self._data = _extended(self._data, data)

    def kept(self) -> Kept:
        """Return the bodies at the end of the exchange."""
        exchange, request = self._exchange, self._request
        kept = NOTHING
        if self._data:
            kept = _kept_response(bytes(self._data), self._size, form_of(exchange) is Form.DOCUMENT)
        if request:
            body = Body.of(bytes(request), exchange.request_bytes, is_document=True)
            kept = Kept(body, kept.response)
        return kept


def _extended(body: bytes | bytearray, data: bytes) -> bytes | bytearray:
    """Return the first bytes of a body, with one more piece. A single piece is not copied."""
    if not body:
        return bytes(data if len(data) <= MOST else data[:MOST])
    room = MOST - len(body)
    if room > 0:
        if isinstance(body, bytes):
            body = bytearray(body)
        body += data[:room]
    return body


@lru_cache(_CACHED)
def _kept_response(data: bytes, size: int, is_document: bool) -> Kept:
    """Return a response's body with secrets replaced. Equal bodies share an object: most are repeated."""
    return Kept(None, Body.of(data, size, is_document=is_document))


class Form(Enum):
    """The kind of a recorded body, on which redaction depends."""

    DOCUMENT = auto()
    OTHER = auto()


def form_of(exchange: Exchange) -> Form | None:
    """Return the kind of a response's body, or None if it is not kept: a blob, a token or a redirect."""
    status, endpoint = exchange.status, exchange.target.endpoint
    if status is None or exchange.method == "HEAD":
        return None
    if status < 300:
        if endpoint not in _DOCUMENTS:
            return None
        return Form.OTHER if endpoint is _PING else Form.DOCUMENT
    return Form.OTHER if status >= 400 and endpoint is not _TOKEN else None
