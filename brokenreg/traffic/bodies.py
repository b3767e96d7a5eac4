"""Keeps recorded bodies: manifests, lists and errors, but never blobs or tokens."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from cachetools import FIFOCache

from brokenreg.oci.target import Endpoint
from brokenreg.redaction import REDACTED
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.redaction import redact_body
from brokenreg.wire.asgi import CUT, RAW, Message
from brokenreg.wording import counted

MOST = 64 * 1024
"""Maximum number of bytes of one body; its first bytes are kept."""

TOTAL = 16 * 1024 * 1024
"""Maximum number of bytes of all bodies; those of the oldest exchanges are dropped first."""

_DOCUMENTS = frozenset(
    {Endpoint.PING, Endpoint.MANIFEST, Endpoint.TAGS, Endpoint.REFERRERS, Endpoint.CATALOG}
)


@dataclass(frozen=True, slots=True)
class Body:
    """The first bytes of a body, and its full size; `is_redacted` if secrets in it were replaced."""

    data: bytes
    size: int
    is_redacted: bool = False

    @classmethod
    def of(cls, data: bytes, size: int, *, is_document: bool) -> Body:
        """Return its first bytes, with secrets replaced."""
        redacted = redact_body(data, is_document=is_document)
        return cls(redacted, size, redacted != data)

    @property
    def is_whole(self) -> bool:
        """Return whether these are exactly the transferred bytes."""
        return len(self.data) == self.size and not self.is_redacted

    @property
    def remark(self) -> str:
        """Return how it differs from the transferred body, for people, or an empty string."""
        if self.is_redacted:
            return f"secrets in it were replaced by {REDACTED}"
        return "" if self.is_whole else f"the first {len(self.data)} of {counted(self.size, 'byte')}"


@dataclass(frozen=True, slots=True)
class Kept:
    """The bodies of one exchange; None if there was none, or if it was not kept."""

    request: Body | None = None
    response: Body | None = None

    @property
    def length(self) -> int:
        """Return the size of both, in bytes."""
        request = 0 if self.request is None else len(self.request.data)
        return request if self.response is None else request + len(self.response.data)


NOTHING = Kept()


class Bodies:
    """The bodies of the newest exchanges, at most `total` bytes."""

    def __init__(self, total: int = TOTAL) -> None:
        self._kept: FIFOCache[int, Kept] = FIFOCache(total, getsizeof=attrgetter("length"))

    @property
    def length(self) -> int:
        """Return the size of all bodies, in bytes."""
        return int(self._kept.currsize)

    def of(self, exchange: Exchange) -> Kept:
        """Return the bodies of an exchange that has ended."""
        return self._kept.get(exchange.id, NOTHING)

    def keep(self, exchange: Exchange, kept: Kept) -> None:
        """Keep the bodies of an exchange that ends; those of the oldest exchanges are dropped."""
        if 0 < kept.length <= self._kept.maxsize:
            self._kept[exchange.id] = kept

    def drop(self, exchange: Exchange) -> None:
        """Drop the bodies of one exchange."""
        self._kept.pop(exchange.id, None)


class BodyTap:
    """Copies the bodies of one exchange while they pass, as far as they are to be kept."""

    __slots__ = ("_data", "_exchange", "_request", "_size")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._request: bytearray | None = None
        if exchange.target.endpoint is Endpoint.MANIFEST and exchange.method == "PUT":
            self._request = bytearray()
        self._data: bytearray | None = None
        self._size = 0

    def request(self, data: bytes) -> None:
        """Note a piece of the request's body."""
        if self._request is not None and len(self._request) < MOST:
            self._request += data[: MOST - len(self._request)]

    def whole_response(self, body: bytes) -> None:
        """Note the body of a response whose head is known."""
        if _is_kept(self._exchange):
            self._size = len(body)
            self._data = bytearray(body[:MOST])

    def response(self, message: Message) -> None:
        """Note a message of the response."""
        kind = message["type"]
        if kind == "http.response.start":
            self._data = bytearray() if _is_kept(self._exchange) else None
        elif self._data is None or kind == CUT:
            return
        elif kind == RAW:  # its bytes have framing among them
            self._size += message["body"]
        else:
            data = message.get("body", b"")
            self._size += len(data)
            if len(self._data) < MOST:
                self._data += data[: MOST - len(self._data)]

    def kept(self) -> Kept:
        """Return the bodies at the end of the exchange."""
        exchange = self._exchange
        is_document = exchange.target.endpoint is not Endpoint.PING and (exchange.status or 0) < 400
        request = self._request and Body.of(bytes(self._request), exchange.request_bytes, is_document=True)
        response = self._data and Body.of(bytes(self._data), self._size, is_document=is_document)
        return Kept(request or None, response or None)


def _is_kept(exchange: Exchange) -> bool:
    """Return whether the body of a response is kept: not if it is a blob, a token or a redirect."""
    if exchange.method == "HEAD" or exchange.status is None or exchange.target.endpoint is Endpoint.TOKEN:
        return False
    if exchange.status >= 400:
        return True
    return exchange.status < 300 and exchange.target.endpoint in _DOCUMENTS
