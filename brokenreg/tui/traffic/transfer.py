"""One pull or push: the exchanges that belong to it. Free of Textual."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from brokenreg.oci.digests import is_digest
from brokenreg.oci.mediatypes import ManifestFacts
from brokenreg.oci.sizes import whole_number
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Ended, Exchange

IDLE = 20.0
"""Seconds without any exchange after which what follows is something new; clients retry sooner."""

AGAIN = 5.0
"""Seconds without any exchange after which a request for a manifest that was served before begins a new pull.

Some clients request a manifest twice in one pull, but without such a pause. Once all blobs have come, such a
request begins a new pull without one.
"""

MEMBERS = 500
"""Maximum number of exchanges in one transfer, so that it can be shown; further ones begin a new transfer."""

_SPAN = 20_000
"""Maximum distance, in exchanges of all clients, from the first to the last one of a transfer."""

_RETRIES = 32
"""Number of earlier attempts that are examined, so that the cost of a row is bounded."""

_BODIES = (Endpoint.CONFIG, Endpoint.LAYER, Endpoint.UPLOAD)

Read = Callable[[Exchange], ManifestFacts]
"""Returns the facts of the manifest in an exchange; no facts if its body was not kept."""


class Kind(StrEnum):
    """Which way the content goes."""

    PULL = "PULL"
    PUSH = "PUSH"


@dataclass(slots=True, eq=False)
class Transfer:
    """One pull or push: its exchanges in order of arrival, those that are still in the log.

    `kind` is None while there were only HEAD requests. `size` also counts exchanges that have left the log.
    `blobs` are the digests of configs and layers in its manifests.
    """

    first: Exchange
    kind: Kind | None = None
    tag: str = ""
    size: int = 0
    members: deque[Exchange] = field(default_factory=deque)
    blobs: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    _unread: list[Exchange] = field(default_factory=list)
    _busy: deque[Exchange] = field(default_factory=deque)
    _latest: float = 0.0
    _is_pushed: bool = False
    _attempts: dict[tuple[str, str], list[Exchange]] = field(default_factory=dict)

    def takes(self, exchange: Exchange, kind: Kind | None, tag: str) -> bool:
        """Return whether an exchange of the same client and repository may belong to this transfer."""
        if exchange.id - self.first.id >= _SPAN or self._is_idle(exchange.started):
            return False
        if kind is not None and self.kind is not None and kind is not self.kind:
            return False
        if self._is_again(exchange):
            return False
        if self._is_pushed:
            return tag == self.tag and bool(tag)
        if not tag:
            return True
        return tag == self.tag or (kind is Kind.PUSH and not self.tag)

    def _is_again(self, exchange: Exchange) -> bool:
        """Return whether a request for a known manifest begins another pull or push."""
        if exchange.endpoint is not Endpoint.MANIFEST or self._is_busy():
            return False
        before = self._attempts.get(request_key(exchange))
        if not self._is_pushed and (before is None or before[-1].has_failed):
            return False
        return exchange.started - self._latest > AGAIN or (not self._is_pushed and self._is_whole())

    def _is_whole(self) -> bool:
        """Return whether all blobs of its manifests have come."""
        return bool(self.blobs) and self.blobs <= {
            request_key(each)[1] for each in self.last_bodies() if is_whole_blob(each)
        }

    def is_failure(self, exchange: Exchange) -> bool:
        """Return whether one of its exchanges failed; in a push, a HEAD that finds nothing does not count."""
        return is_failure(exchange) and not is_miss(exchange, self.kind)

    def names(self, digest: str, read: Read) -> bool | None:
        """Return whether its manifests name a digest; None while none of them could be read."""
        if self._unread:
            self.learn(read)
        return digest in self._names if self._names else None

    def inherit(self, earlier: Transfer) -> bool:
        """Learn what an earlier transfer of the same manifest names. Return whether this was possible.

        A client that has kept the manifest sends only HEAD for it, and then requests the blobs.
        """
        if self.blobs or earlier._is_busy() or self._names.isdisjoint(earlier._names):
            return False
        self._names |= earlier._names
        self.blobs |= earlier.blobs
        return True

    def learn(self, read: Read) -> None:
        """Read the manifests that arrived since the last call."""
        for exchange in [each for each in self._unread if each.ended is not None]:
            self._unread.remove(exchange)
            self._note(exchange, read)

    def _note(self, exchange: Exchange, read: Read) -> None:
        """Note what a manifest names, and its own digest."""
        facts = read(exchange)
        self._names.update(facts.names)
        self.blobs.update(facts.layers, [facts.config] if facts.config else [])
        own = exchange.response_header("docker-content-digest")
        if own:
            self._names.add(own)

    def add(self, exchange: Exchange) -> None:
        self.members.append(exchange)
        self.size += 1
        self.kind = self.kind or kind_of(exchange)
        self.tag = self.tag or tag_of(exchange)
        self._latest = max(self._latest, exchange.started)
        if exchange.ended is None:
            self._busy.append(exchange)
        if exchange.endpoint is Endpoint.MANIFEST:
            self._unread.append(exchange)
            self._is_pushed |= exchange.method == "PUT" and bool(tag_of(exchange))
        self._attempts.setdefault(request_key(exchange), []).append(exchange)

    def drop_first(self) -> None:
        """Remove the oldest exchange, which has left the log."""
        gone = self.members.popleft()
        key = request_key(gone)
        self._attempts[key].remove(gone)
        if not self._attempts[key]:
            del self._attempts[key]

    def retry(self, exchange: Exchange) -> int:
        """Return which retry it is: how many of the same requests just before it failed."""
        if not exchange.target.reference:
            return 0
        attempts = self._attempts.get(request_key(exchange), ())
        place = attempts.index(exchange) if exchange in attempts else 0
        before = attempts[max(0, place - _RETRIES) : place]
        return sum(map(self.is_failure, before))

    def last_attempts(self) -> Iterator[Exchange]:
        """Yield the last exchange for each request."""
        return (attempts[-1] for attempts in self._attempts.values())

    def last_bodies(self) -> list[Exchange]:
        """Return the last exchange for each blob."""
        return [attempts[-1] for attempts in self.bodies()]

    def bodies(self) -> list[Sequence[Exchange]]:
        """Return the exchanges for each blob, in order of arrival."""
        return [
            attempts
            for attempts in self._attempts.values()
            if attempts[-1].endpoint in _BODIES and attempts[-1].method != "HEAD"
        ]

    def _is_idle(self, now: float) -> bool:
        return not self._is_busy() and now - self._latest > IDLE

    def _is_busy(self) -> bool:
        while self._busy and self._busy[0].ended is not None:
            done = self._busy.popleft()
            self._latest = max(self._latest, done.started + (done.duration or 0.0))
        return bool(self._busy)


def kind_of(exchange: Exchange) -> Kind | None:
    if exchange.method in ("POST", "PUT", "PATCH") or exchange.endpoint is Endpoint.UPLOAD:
        return Kind.PUSH
    return None if exchange.method == "HEAD" else Kind.PULL


def tag_of(exchange: Exchange) -> str:
    reference = exchange.target.reference
    is_tag = exchange.endpoint is Endpoint.MANIFEST and not is_digest(reference)
    return reference if is_tag else ""


def request_key(exchange: Exchange) -> tuple[str, str]:
    """Return what was requested. An upload in one POST, or a mount, has its digest in the query only."""
    return exchange.method, exchange.target.reference or exchange.query


def is_failure(exchange: Exchange) -> bool:
    """Return whether it failed. A 401 only requests a token, and a HEAD before a push may find nothing."""
    return exchange.has_failed and exchange.status != 401 and not is_miss(exchange)


def is_miss(exchange: Exchange, kind: Kind | None = None) -> bool:
    """Return whether it is a HEAD of a missing blob, or in a PUSH (`kind`) of a missing manifest."""
    is_asked = exchange.endpoint in (Endpoint.CONFIG, Endpoint.LAYER) or (
        exchange.endpoint is Endpoint.MANIFEST and kind is Kind.PUSH
    )
    is_complete = exchange.ended is Ended.COMPLETE and not exchange.faults
    return is_asked and is_complete and exchange.method == "HEAD" and exchange.status == 404


def is_whole_blob(exchange: Exchange) -> bool:
    """Return whether it transferred a whole blob. Of an upload, only 201 says so; 202 is a part of it."""
    is_whole = exchange.endpoint is not Endpoint.UPLOAD or exchange.status == 201
    return exchange.ended is not None and not exchange.has_failed and is_whole


def body_bytes(exchange: Exchange) -> int:
    """Return the bytes of the body: the request's in an upload, else the response's."""
    return exchange.request_bytes if kind_of(exchange) is Kind.PUSH else exchange.response_bytes


def announced(exchange: Exchange) -> int | None:
    """Return how many bytes that body was announced to have, or None."""
    is_push = kind_of(exchange) is Kind.PUSH
    name = "content-length"
    return whole_number(exchange.request_header(name) if is_push else exchange.response_header(name))


def known_end(exchange: Exchange, now: float) -> float:
    """Return when it ended. In flight, that is `now`; if its end is unknown, the time of its last event."""
    if exchange.ended is None and not exchange.end_is_unknown:
        return now
    return exchange.started + (exchange.timeline.last_at or 0.0)
