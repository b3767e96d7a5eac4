"""An exchange as text for people: the cells of `brokenreg log`, and one line."""

from __future__ import annotations

import time
from collections.abc import Iterator

from brokenreg.client.documents import Exchange
from brokenreg.oci.sizes import format_size
from brokenreg.wording import printable

_CONNECT = "connect"

_LONGEST, _LONGEST_RULE = 500, 60
"""Maximum number of characters of a request in one line, and of a rule."""


def cells(exchange: Exchange) -> tuple[str, str, str, str, str]:
    """Return the id, the time, the status, the request and the result of an exchange, without its rule.

    The id begins with the replica, if the exchange has one.
    """
    return _cells(exchange, result_words(exchange, with_rule=False))


def line(exchange: Exchange) -> str:
    """Return an exchange as one line."""
    number, when, status, request, result = _cells(exchange, result_words(exchange))
    if len(request) > _LONGEST:
        request = f"{request[:_LONGEST]}…"
    return f"{number:>4}  {when}  {status:<6}  {request}  {result}"


def request_words(exchange: Exchange) -> str:
    """Return the method and the path. They are not safe for terminals."""
    is_connection = exchange["endpoint"] == _CONNECT
    return "(connection)" if is_connection else f"{exchange['method']} {exchange['path']}"


def result_words(exchange: Exchange, *, with_rule: bool = True) -> Iterator[str]:
    """Yield the use of the cache, the fault and its rule, and how the exchange ended if not completely."""
    if exchange["cache"]:
        yield exchange["cache"]
    if exchange["faults"]:
        yield f"fault {'+'.join(exchange['faults'])}{_of(exchange['rule']) if with_rule else ''}"
    if exchange["edited"]:
        yield f"edited: {exchange['edited']}"
    if exchange["held"]:
        yield "held"
    elif exchange["ended"] != "complete":
        yield exchange["ended"] or exchange["progress"] or "in flight"


def _cells(exchange: Exchange, words: Iterator[str]) -> tuple[str, str, str, str, str]:
    result = [format_size(exchange["response_bytes"])]
    if exchange["duration"] is not None:
        result.append(f"{1000 * exchange['duration']:.0f} ms")
    return (
        printable(f"{replica}/{exchange['id']}")
        if (replica := exchange.get("replica"))
        else str(exchange["id"]),
        time.strftime("%H:%M:%S", time.localtime(exchange["time"])),
        str(exchange["status"] or "-"),
        printable(request_words(exchange)),
        printable(", ".join([*result, *words])),
    )


def _of(rule: str | None) -> str:
    """Return the rule, or the path if the fault is one of the path."""
    if not rule:
        return ""
    return f" ({rule[:_LONGEST_RULE]}…)" if len(rule) > _LONGEST_RULE else f" ({rule})"
