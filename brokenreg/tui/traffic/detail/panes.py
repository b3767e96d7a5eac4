"""The table of panes: what the detail of an exchange can show."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from brokenreg.controlled import Controlled
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.lines import Line
from brokenreg.tui.traffic.detail.body import body
from brokenreg.tui.traffic.detail.head import Part
from brokenreg.tui.traffic.detail.headers import headers
from brokenreg.tui.traffic.detail.timeline import timeline
from brokenreg.tui.traffic.detail.why import MOST, book, why


def _unchanging(exchange: Exchange, controlled: Controlled) -> Hashable:
    del exchange, controlled
    return None


@dataclass(frozen=True, slots=True)
class Pane:
    """What it shows, and what of it can change though the exchange has not: compared before it is painted."""

    parts: Callable[[Exchange, Controlled], Iterable[Part | Line]]
    state: Callable[[Exchange, Controlled], Hashable] = _unchanging


def _counts(exchange: Exchange, controlled: Controlled) -> Hashable:
    rules = book(exchange, controlled.rules)
    return len(rules), tuple((active.id, active.matched, active.struck) for active in rules[: MOST + 1])


PANES: Mapping[str, Pane] = {
    "Headers": Pane(lambda exchange, _: headers(exchange)),
    "Body": Pane(lambda exchange, controlled: body(exchange, controlled.log.bodies.of(exchange))),
    "Timeline": Pane(lambda exchange, _: timeline(exchange)),
    "Why": Pane(lambda exchange, controlled: why(exchange, controlled.rules), _counts),
}
