"""The exchanges of a failed test as text: what happened, and why rules were applied or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brokenreg.client import Client, MissingError
from brokenreg.client.documents import ExchangeDetail, RuleExplanation
from brokenreg.client.exchange_text import line
from brokenreg.wording import printable

_UNEXPLAINED = ("added-later", "disabled", "not-evaluated")
"""Outcomes of rules that say nothing about the exchange."""

_MOST_RULES = 5
"""Maximum number of rules that are explained for one exchange."""


def details(client: Client, ids: Iterable[int]) -> list[ExchangeDetail]:
    """Return exchanges with their rules and timeline; without those that the log has dropped meanwhile."""
    found = []
    for each in ids:
        try:
            found.append(client.exchange(each, namespace=""))  # whatever their namespace is
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


def _explanation(rule: RuleExplanation) -> str:
    return f"{rule['rule']}: {rule['reason']}"


def _indented(text: str) -> str:
    return f"{'':14}  {printable(text)}"
