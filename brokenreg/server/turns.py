"""An event loop in which everybody has a turn soon: for the panel, which shares it with busy clients."""

from __future__ import annotations

import asyncio
import selectors

_EVENTS = 12
"""Sockets looked after in one turn of the loop. From a key to the screen it takes about a dozen turns."""


class _Turns(selectors.DefaultSelector):
    """Tells of a few sockets at a time, each in its turn. They stay ready until it is theirs."""

    _next = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if len(ready) <= _EVENTS:
            return ready
        begin = self._next % len(ready)
        self._next = begin + _EVENTS
        return (ready + ready)[begin : begin + _EVENTS]


def loop_of_short_turns() -> asyncio.SelectorEventLoop:
    """For `asyncio.Runner(loop_factory=...)`."""
    return asyncio.SelectorEventLoop(_Turns())
