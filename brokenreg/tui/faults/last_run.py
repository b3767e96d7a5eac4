"""Finds the exchanges from which a saved scenario can get expectations. Free of Textual."""

from __future__ import annotations

from collections.abc import Sequence

from brokenreg.concurrency import paced
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.comparing.subjects import facts_of
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.rule_outcome import OutcomeKind
from brokenreg.tui.traffic.grouping import Transfers
from brokenreg.tui.traffic.transfer import Transfer


async def last_run(log: TrafficLog, rules: RuleBooks, namespace: str) -> Sequence[Exchange]:
    """Return the exchanges of the newest pull or push in a namespace to which a current rule was applied.

    A rule that was removed or replaced does not count. If no rule was applied, return those of the newest
    pull or push. Without any, return nothing.
    """
    await log.index_repetitions()
    transfers = Transfers(lambda exchange: facts_of(exchange, log.bodies.of(exchange)))
    newest: Transfer | None = None
    broken: Transfer | None = None
    async for exchange in paced(list(log)):
        if exchange.target.namespace == namespace:
            transfer = transfers.assign(exchange)
            newest = transfer or newest
            is_broken = any(
                each.kind is OutcomeKind.APPLIED and rules.find(namespace, each.rule) is not None
                for each in exchange.rule_outcomes
            )
            broken = transfer if transfer is not None and is_broken else broken
    found = broken or newest
    return () if found is None else tuple(found.members)
