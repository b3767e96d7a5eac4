"""The table of panes: what the detail of an exchange can show."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.lines import Line
from brokenreg.tui.traffic.detail.body import body
from brokenreg.tui.traffic.detail.head import Part
from brokenreg.tui.traffic.detail.headers import headers
from brokenreg.tui.traffic.detail.timeline import timeline
from brokenreg.tui.traffic.detail.why import MOST, book, why


def _unchanging(exchange: Exchange, runtime: Runtime) -> Hashable:
    del exchange, runtime
    return None


@dataclass(frozen=True, slots=True)
class Pane:
    """What it shows, and what of it can change though the exchange has not: compared before it is painted."""

    parts: Callable[[Exchange, Runtime], Iterable[Part | Line]]
    state: Callable[[Exchange, Runtime], Hashable] = _unchanging


def _counts(exchange: Exchange, runtime: Runtime) -> Hashable:
    rules = book(exchange, runtime.rules)
    return len(rules), tuple((active.id, active.matched, active.applied) for active in rules[: MOST + 1])


PANES: Mapping[str, Pane] = {
    "Headers": Pane(lambda exchange, _: headers(exchange)),
    "Body": Pane(lambda exchange, runtime: body(exchange, runtime.log.bodies.of(exchange))),
    "Timeline": Pane(lambda exchange, _: timeline(exchange)),
    "Why": Pane(lambda exchange, runtime: why(exchange, runtime.rules), _counts),
}
