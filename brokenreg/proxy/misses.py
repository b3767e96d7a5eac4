"""What upstreams have not, remembered for a short while."""

from __future__ import annotations

from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.expiring import Expiring
from brokenreg.proxy.route import Route

REMEMBERED = 10.0
"""Seconds for which a 404 is not asked for again. Nothing else is remembered: it may pass at any time."""

_MOST = 10_000


class Misses:
    """Remembers 404s by route and reference."""

    def __init__(self) -> None:
        self._errors: Expiring[tuple[Route, str], UpstreamStatusError] = Expiring(_MOST)

    def check(self, route: Route, reference: str) -> None:
        """Raise the remembered `UpstreamStatusError`, if any."""
        error = self._errors.get((route, reference))
        if error is not None:
            raise error.again()

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error if it says that there is nothing."""
        if isinstance(error, UpstreamStatusError) and error.is_gone:
            self._errors.keep((route, reference), error.again(), REMEMBERED)
