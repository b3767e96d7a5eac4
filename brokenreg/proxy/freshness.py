"""For how long a cached tag is taken to be what its upstream has.

In memory alone: after a restart each tag is asked for once, which costs a HEAD.
"""

from __future__ import annotations

from brokenreg.proxy.expiring import Expiring
from brokenreg.proxy.route import Route
from brokenreg.traffic.exchange import Cache

POSTPONED = 10.0
"""Seconds in which an upstream that failed is not asked again for what is cached."""

_MOST = 10_000
"""Maximum number of tags that are remembered; a tag that was dropped costs a HEAD again."""


class Freshness:
    """When each tag is to be asked for again: `ttl` seconds after its upstream told.

    Asking each time would burn the upstream's rate limit.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._unasked: Expiring[tuple[Route, str], Cache] = Expiring(_MOST)

    def unasked(self, route: Route, tag: str) -> Cache | None:
        """What part the cache has in an answer for which nobody is asked; None if the upstream is to be."""
        return self._unasked.get((route, tag))

    def confirm(self, route: Route, tag: str) -> None:
        """The upstream has just said what the tag is."""
        self._unasked.keep((route, tag), Cache.HIT, self._ttl)

    def postpone(self, route: Route, tag: str) -> None:
        """The upstream has just failed to say it."""
        self._unasked.keep((route, tag), Cache.STALE, min(POSTPONED, self._ttl))

    def forget(self, route: Route, tag: str) -> None:
        self._unasked.forget((route, tag))
