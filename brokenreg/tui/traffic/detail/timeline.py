"""The pane Timeline: what happened to an exchange, and when."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.detail.head import Part


def timeline(exchange: Exchange) -> Iterator[Part]:
    """One line for each point."""
    for what, seconds in exchange.timeline:
        yield f"{seconds * 1000:>10.1f} ms  ", "$secondary"
        yield f"{visible(what)}\n", ""
