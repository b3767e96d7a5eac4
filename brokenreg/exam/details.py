"""Fetches the details of a run's exchanges: their headers, timelines and rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from brokenreg.client import AsyncClient, MissingError
from brokenreg.client.documents import Exchange, ExchangeDetail
from brokenreg.client.rule_text import rule_words
from brokenreg.exam.exchange_numbers import number_of, set_number
from brokenreg.exam.report import Verdict
from brokenreg.redaction import redact_text

MOST = 200
"""Maximum number of exchanges whose details a report has."""

_AT_ONCE = 4
"""Number of requests in flight at the same time."""


async def fetch_details(
    control: AsyncClient, exchanges: Sequence[Exchange], verdicts: Iterable[Verdict]
) -> tuple[ExchangeDetail, ...]:
    """Return the details of at most `MOST` exchanges, those nearest to failures first.

    Exchanges that have left the log are missing. Raise `ControlError`.
    """
    slots = asyncio.Semaphore(_AT_ONCE)
    known = {number_of(each): each for each in exchanges}
    found = await asyncio.gather(
        *(_detail(control, known[number], slots) for number in chosen(exchanges, verdicts))
    )
    return tuple(sorted((each for each in found if each is not None), key=lambda each: number_of(each)))


def chosen(exchanges: Sequence[Exchange], verdicts: Iterable[Verdict]) -> list[int]:
    """Return the ids of at most `MOST` exchanges: the nearest of verdicts, those with faults, the first."""
    nearest = [number for each in verdicts for number in each.nearest]
    with_faults = [number_of(each) for each in exchanges if each["faults"]]
    known = {number_of(each) for each in exchanges}
    order = dict.fromkeys([*nearest, *with_faults, *(number_of(each) for each in exchanges)])
    return [number for number in order if number in known][:MOST]


async def fetch_rules(control: AsyncClient) -> dict[int, str]:
    """Return the rules of the namespace, and those of none, as text by their ids. Raise `ControlError`."""
    found = [*await control.rules(), *await control.rules(namespace="")]
    return {each["id"]: redact_text(rule_words(each)) for each in found}


async def _detail(
    control: AsyncClient, exchange: Exchange, slots: asyncio.Semaphore
) -> ExchangeDetail | None:
    try:
        async with slots:
            detail = await control.exchange(exchange["id"], namespace="", replica=exchange.get("replica"))
    except MissingError:
        return None
    set_number(detail, number_of(exchange))
    return detail
