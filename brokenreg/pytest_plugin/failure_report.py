"""The exchanges of a failed test as text: what happened, and why rules were applied or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from brokenreg.client import Client, MissingError
from brokenreg.client.documents import Exchange, ExchangeDetail, RuleExplanation, Verdict
from brokenreg.client.exchange_text import line
from brokenreg.wording import printable

_UNEXPLAINED = ("added-later", "disabled", "not-evaluated")
"""Outcomes of rules that say nothing about the exchange."""

_CONNECT = "connect"
_OF_ALL = ("end", "first-request", "faults-applied")
"""Events that do not say why a connection has no request."""

_MOST_OUTSIDE = 10
"""Maximum number of exchanges outside of the namespace of a test that are shown."""

_MOST_RULES = 5
"""Maximum number of rules that are explained for one exchange."""


Place = tuple[str | None, int]
"""The replica that has an exchange, or None without a fleet, and its id."""


def place_of(exchange: Exchange) -> Place:
    """Return where an exchange is."""
    return exchange.get("replica"), exchange["id"]


def nearest_to(verdict: Verdict) -> Iterable[Place]:
    """Return where the exchanges nearest to a verdict are."""
    return ((replica, each) for each, replica in zip_longest(verdict["nearest"], verdict.get("replicas", ())))


def details(client: Client, places: Iterable[Place]) -> list[ExchangeDetail]:
    """Return exchanges with their rules and timeline; without those that the log has dropped meanwhile."""
    found = []
    for replica, each in places:
        try:
            found.append(client.exchange(each, namespace="", replica=replica))  # whatever the namespace is
        except MissingError:
            continue
    return found


def exchange_lines(exchange: ExchangeDetail) -> Iterator[str]:
    """Yield the lines of an exchange: the request with its result, what holds it, and its rules."""
    yield line(exchange)
    if exchange["held_by"]:
        yield _indented(f"held by {exchange['held_by']}")
    explained = [each for each in exchange["rules"] if each["outcome"] not in _UNEXPLAINED]
    for each in explained[:_MOST_RULES]:
        yield _indented(_explanation(each))


def nothing_in(client: Client, since: str, *, is_shared: bool) -> Iterator[str]:
    """Yield that a namespace has no exchanges, and what arrived outside of it after the exchange `since`.

    On a shared server, that is what other clients sent.
    """
    missing = f"no exchanges in namespace {client.namespace}"
    if is_shared:
        yield f"{missing}: the client sent no request, or used a name that is not from image or random_image"
        return
    found = client.exchanges(namespace="", after=since, limit=_MOST_OUTSIDE)
    if not found:
        yield f"{missing}, nor outside of it: the client did not connect"
    elif all(each["endpoint"] == _CONNECT for each in found):
        yield f"{missing}: the client connected, but sent no request"
    else:
        yield f"{missing}, but outside of it: use names from image or random_image"
    for each in details(client, map(place_of, found)):
        yield from exchange_lines(each)
        if each["endpoint"] == _CONNECT:
            yield from (
                _indented(event["text"]) for event in each["timeline"] if event["kind"] not in _OF_ALL
            )


def _explanation(rule: RuleExplanation) -> str:
    return f"{rule['rule']}: {rule['reason']}"


def _indented(text: str) -> str:
    return f"{'':14}  {printable(text)}"
