"""What upstreams have not, remembered for a short while."""

from __future__ import annotations

import time
from collections import OrderedDict

from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.route import Route

REMEMBERED = 10.0
"""Seconds for which a 404 is not asked for again. Nothing else is remembered: it may pass at any time."""

_MOST = 10_000


class Misses:
    """Remembers 404s by route and reference."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[Route, str], tuple[float, UpstreamStatusError]] = OrderedDict()

    def check(self, route: Route, reference: str) -> None:
        """Raise the `UpstreamStatusError` that was remembered."""
        until, error = self._until.get((route, reference), (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error.again()

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error if it says that there is nothing."""
        if not isinstance(error, UpstreamStatusError) or not error.is_gone:
            return
        self._until.pop((route, reference), None)
        self._until[route, reference] = (time.monotonic() + REMEMBERED, error.again())
        if len(self._until) > _MOST:
            self._until.popitem(last=False)
