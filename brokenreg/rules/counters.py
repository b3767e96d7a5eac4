"""The counters of rules, and the draws that decide whether a rule is applied."""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from cachetools import LRUCache

from brokenreg.oci.target import Endpoint
from brokenreg.rules.rule import Per
from brokenreg.traffic.exchange import Exchange

MAX_COUNTERS = 10_000
"""Maximum number of separate counters of one rule, and of requests whose attempts are counted."""

MAX_KEY = 256
"""Maximum length, in characters, of a text that is used as a key unchanged."""


@dataclass(slots=True)
class Count:
    """How often a rule matched and how often it was applied."""

    matched: int = 0
    applied: int = 0


class Counts:
    """The counts of one rule: one per repository, reference or client, or one for all exchanges."""

    def __init__(self, per: Per) -> None:
        self._per = per
        self._counts: LRUCache[str, Count] = LRUCache(MAX_COUNTERS)

    def of(self, exchange: Exchange) -> Count:
        """Return the count that an exchange belongs to."""
        return self._counts.setdefault(self.key(exchange), Count())

    def key(self, exchange: Exchange) -> str:
        """Return the key of the count that an exchange belongs to."""
        return shorten(self._key(exchange))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys that are counted separately."""
        return iter(self._counts)

    def applied_less_often(self, times: int, skip: int) -> int:
        """Return the number of keys with more than `skip` matches, but fewer applications than `times`."""
        return sum(count.matched > skip and count.applied < times for count in self._counts.values())

    def _key(self, exchange: Exchange) -> str:
        target = exchange.target
        match self._per:
            case "repository":
                return target.repository
            case "reference":
                return f"{target.repository}:{target.reference}"
            case "client":
                return client_of(exchange)
        return ""


class Attempts:
    """Counts requests with the same method, path faults, repository and reference.

    The counts do not depend on the rules, or on which of them was applied. `id` tells them from counts that
    began at another time.
    """

    def __init__(self, counts_id: str = "") -> None:
        self.id = counts_id or new_id()
        # Ordered by the latest request. `LRUCache` would take five times as long.
        self._counts: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def count(self, exchange: Exchange, client: str = "") -> int:
        """Count a request, and return its number, from 1; `client` is whose requests are counted together."""
        key, counts = self.key(exchange, client), self._counts
        if max(map(len, key)) > MAX_KEY:
            key = tuple(map(shorten, key))
        attempt = counts[key] = counts.get(key, 0) + 1
        counts.move_to_end(key)
        if len(counts) > MAX_COUNTERS:
            counts.popitem(last=False)
        return attempt

    @staticmethod
    def key(exchange: Exchange, client: str = "") -> tuple[str, ...]:
        """Return what the requests have in common that are counted together."""
        target = exchange.target
        return (target.namespace, client, *target.faults, *_requested(exchange))

    def forget(self, namespace: str) -> None:
        """Forget the counts of a namespace, so that they start again from 1."""
        for key in [key for key in self._counts if key[0] == namespace]:
            del self._counts[key]


def request_key(exchange: Exchange) -> str:
    """Return the key of the requests whose attempts are counted together."""
    return shorten("\x1f".join(_requested(exchange)))


def new_id() -> str:
    """Return an id that no other counts have, at any replica."""
    return uuid.uuid4().hex


def client_of(exchange: Exchange) -> str:
    """Return what identifies a client in counts: its address and its User-Agent header."""
    return f"{exchange.client.rpartition(':')[0]} {exchange.user_agent}"


def draw_of(seed: int, rule: str, exchange: Exchange, attempt: int) -> int:
    """Return 64 bits that depend on the request, and never on the order in which requests arrive."""
    what = (str(seed), rule, *_requested(exchange), str(attempt))
    return int.from_bytes(hashlib.blake2b("\x1f".join(what).encode(), digest_size=8).digest())


def shorten(text: str) -> str:
    """Return a text as a key of limited length: a long one as its beginning and a digest.

    Clients choose these texts, so their length must be limited.
    """
    if len(text) <= MAX_KEY:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[: MAX_KEY // 2]} {digest}"


def _requested(exchange: Exchange) -> tuple[str, str, str, str]:
    """Return the parts of a request that are the same in two runs.

    They are the method, endpoint, repository and reference. Upload ids are random, so they are left out.
    """
    target = exchange.target
    reference = "" if target.endpoint is Endpoint.UPLOAD else target.reference
    return exchange.method, target.endpoint, target.repository, reference
