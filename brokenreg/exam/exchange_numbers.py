"""Numbers the exchanges of a run: by their ids, or over all replicas of a fleet, which use the same ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, NotRequired, cast

from brokenreg.client.documents import Exchange


class _Numbered(Exchange):
    number: NotRequired[int]


def number_of(exchange: Exchange) -> int:
    """Return the number of an exchange, which is unique in its run."""
    return cast("_Numbered", exchange).get("number", exchange["id"])


def set_number(exchange: Exchange, number: int) -> None:
    """Give a number to an exchange."""
    cast("_Numbered", exchange)["number"] = number


class ExchangeNumbers:
    """The numbers of one run. Exchanges of a fleet are numbered in the order in which they are added."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, int], int] = {}

    def add(self, exchanges: Iterable[Exchange]) -> None:
        """Give a number to each exchange of a fleet."""
        for each in exchanges:
            if "replica" in each:
                set_number(each, self._number(each["replica"], each["id"]))

    def add_nearest(self, verdict: Mapping[str, Any]) -> dict[str, Any]:
        """Return a verdict of the server with the numbers of the nearest exchanges instead of their ids."""
        places = zip_longest(verdict["nearest"], verdict.get("replicas", ()))
        nearest = [each if replica is None else self._number(replica, each) for each, replica in places]
        return {**verdict, "nearest": nearest}

    def _number(self, replica: str, exchange: int) -> int:
        return self._numbers.setdefault((replica, exchange), len(self._numbers) + 1)
