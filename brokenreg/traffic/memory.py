"""Counts the memory of an exchange in the log, in bytes.

Objects that several exchanges share are counted once (headers) or for each of them (targets, bodies).
"""

from __future__ import annotations

from sys import getsizeof

from brokenreg.oci.target import Target
from brokenreg.traffic.exchange import Exchange, Headers
from brokenreg.traffic.redaction import BLOCK_SIZE, FIELD_SIZE, HEADER_SIZE, HeaderBlock

EXCHANGE_SIZE = 1280
"""The memory of an exchange with its numbers, names, short timeline, target and entries in the log."""

_COPIES = 3
"""Number of copies of a path: the path itself, and the name and the repository in the target."""

_SHORT = 512
"""Maximum size of a path and query that are counted `_COPIES` times, in place of their target."""

_OUTCOME_SIZE = 160


def size_at_start(exchange: Exchange) -> int:
    """Return the memory of an exchange when its request has arrived."""
    texts = exchange.path.__sizeof__()
    if exchange.query:
        texts += exchange.query.__sizeof__()
    size = EXCHANGE_SIZE + (_COPIES * texts if texts <= _SHORT else texts + _size_of_target(exchange.target))
    return size + _size_of_headers(exchange.request_headers)


def size_at_end(exchange: Exchange) -> int:
    """Return the memory that was added until the end of an exchange."""
    size = exchange.timeline.size
    if exchange.response_headers:
        size += _size_of_headers(exchange.response_headers)
    if exchange.rule_outcomes:
        size += _OUTCOME_SIZE * len(exchange.rule_outcomes)
    if exchange.saved is not None:
        size += exchange.saved.size
    return size if exchange.edited is None else size + getsizeof(exchange.edited)


def _size_of_headers(headers: Headers) -> int:
    """Return the memory of headers that was not counted before."""
    if isinstance(headers, HeaderBlock):
        size = headers.uncounted
        if size:
            headers.uncounted = 0
        return size
    return BLOCK_SIZE + sum(FIELD_SIZE + HEADER_SIZE + len(name) + len(value) for name, value in headers)


def _size_of_target(target: Target) -> int:
    texts = [target.namespace, target.repository, target.reference, target.name, target.upstream]
    texts += [target.root, target.query, target.base.named, *target.faults]
    if target.error is not None:
        texts.append(str(target.error))
    return sum(map(getsizeof, {id(text): text for text in texts}.values()))
