"""For how long a cached tag is taken to be what its upstream has.

In memory alone: after a restart each tag is asked for once, which costs a HEAD.
"""

from __future__ import annotations

import time

from brokenreg.proxy.route import Route

POSTPONED = 10.0
"""Seconds in which an upstream that failed is not asked again for what is cached."""


class Freshness:
    """When each tag is to be asked for again: `ttl` seconds after its upstream told.

    Asking each time would burn the upstream's rate limit.
    """

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self._until: dict[tuple[Route, str], float] = {}

    def is_fresh(self, route: Route, tag: str) -> bool:
        return time.monotonic() < self._until.get((route, tag), 0.0)

    def confirm(self, route: Route, tag: str) -> None:
        """The upstream has just said what the tag is."""
        self._until[route, tag] = time.monotonic() + self.ttl

    def postpone(self, route: Route, tag: str) -> None:
        """The upstream has just failed to say it."""
        self._until[route, tag] = time.monotonic() + min(POSTPONED, self.ttl)

    def forget(self, route: Route, tag: str) -> None:
        self._until.pop((route, tag), None)
