"""Finds out which exchange repeats which, when a reader of the log needs it.

The key of a target is the namespace, method, path and query, for each client (address without port, and
User-Agent). A request repeats an earlier one only if that one has ended, so requests in parallel do not
repeat each other: they start chains of their own. A request for another range after a success does, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from brokenreg.oci.sizes import whole_number
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.repetition import FIRST, Repetition

MAX_TARGETS = 4096
"""Maximum number of targets that are kept."""

MAX_CHAINS = 8
"""Maximum number of chains of one target."""

TOLERANCE = 0.1
"""How many seconds before the time in Retry-After a request may arrive and still count as honouring it."""

_OVERLAP = 0.02
"""How many seconds after the next request the end of an exchange may be noticed."""

_LONGEST_KEY = 2048

_Key = tuple[str, ...]
Find = Callable[[int], Exchange | None]


@dataclass(frozen=True, slots=True)
class _Chain:
    """The newest request of a chain of requests, each of which repeats the one before it."""

    exchange: int
    attempt: int
    started: float
    range: str


class Repetitions:
    """Sets `repetition` of exchanges in the order of their arrival. `find` finds an exchange by its id."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._chains: OrderedDict[_Key, list[_Chain]] = OrderedDict()

    def add(self, exchange: Exchange) -> None:
        """Set the repetition of the exchange that arrived after all exchanges before it."""
        key = _key(exchange)
        if sum(map(len, key)) > _LONGEST_KEY:
            exchange.known_repetition = FIRST
            return
        chains = self._chains.setdefault(key, [])
        self._chains.move_to_end(key)
        span = exchange.request_header("range")
        earlier = max(
            ((rank, chain) for chain in chains if (rank := self._rank(chain, exchange, span)) is not None),
            key=lambda each: each[0],
            default=None,
        )
        repetition = FIRST
        if earlier is not None:
            chains.remove(earlier[1])
            repetition = self._repetition(earlier[1], exchange)
        exchange.known_repetition = repetition
        chains.append(_Chain(exchange.id, repetition.attempt, exchange.started, span))
        del chains[:-MAX_CHAINS]
        if len(self._chains) > MAX_TARGETS:
            self._chains.popitem(last=False)

    def forget(self, exchanges: Container[int]) -> None:
        """Forget the requests with these ids."""
        kept = {
            key: [chain for chain in chains if chain.exchange not in exchanges]
            for key, chains in self._chains.items()
        }
        self._chains = OrderedDict((key, chains) for key, chains in kept.items() if chains)

    def _rank(self, chain: _Chain, exchange: Exchange, span: str) -> tuple[bool, bool, float] | None:
        """Return how likely it is that a request repeats a chain, or None if it does not.

        A failed one comes first, then one with the same range, then the newest.
        """
        last = self._find(chain.exchange)
        is_same = chain.range == span
        if last is None:
            return False, is_same, chain.started
        if last.duration is None or last.started + last.duration > exchange.started + _OVERLAP:
            return None
        return (last.has_failed, is_same, chain.started) if last.has_failed or is_same else None

    def _repetition(self, chain: _Chain, exchange: Exchange) -> Repetition:
        last = self._find(chain.exchange)
        ended = chain.started if last is None else last.started + (last.duration or 0)
        since = max(0.0, exchange.started - ended)
        due = _due(last, ended) if last is not None else None
        honoured = None if due is None else exchange.started >= due - TOLERANCE
        return Repetition(chain.attempt + 1, since, honoured)


def _key(exchange: Exchange) -> _Key:
    return (
        exchange.target.namespace,
        exchange.origin,
        exchange.method,
        exchange.path,
        exchange.query,
        exchange.client.rpartition(":")[0],
        exchange.user_agent,
    )


def _due(exchange: Exchange, ended: float) -> float | None:
    """Return the time that Retry-After of a response says, or None without a valid one."""
    value = exchange.response_header("retry-after").strip()
    seconds = whole_number(value)
    if seconds is not None:
        return ended + seconds
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
