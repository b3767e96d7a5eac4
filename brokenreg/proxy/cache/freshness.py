"""Freshness of cached tags and of misses, and whether an upstream is contacted at all.

It is in memory alone: after a restart each tag costs one HEAD.
"""

from __future__ import annotations

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.http.expiring import Expiring
from brokenreg.proxy.http.statuses import not_here
from brokenreg.proxy.routes import Route
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


REMEMBERED = 10.0
"""Seconds for which a 404 is not asked for again. Nothing else is remembered: it may pass at any time."""

_MOST_MISSES = 10_000


class NegativeCache:
    """Remembers 404s by route and reference."""

    def __init__(self) -> None:
        self._errors: Expiring[tuple[Route, str], UpstreamStatusError] = Expiring(_MOST_MISSES)

    def check(self, route: Route, reference: str) -> None:
        """Raise the remembered `UpstreamStatusError`, if any."""
        error = self._errors.get((route, reference))
        if error is not None:
            raise error.again()

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error if it says that there is nothing."""
        if isinstance(error, UpstreamStatusError) and error.is_gone:
            self._errors.keep((route, reference), error.again(), REMEMBERED)


class Contact:
    """Provides `client`, which is None if no upstream is contacted. `code` is the error code of a 404."""

    def __init__(self, client: UpstreamClient | None, code: ErrorCode) -> None:
        self._client = client
        self._code = code
        self._misses = NegativeCache()

    def is_allowed(self, route: Route) -> bool:
        """Return whether the upstream may be contacted for that request."""
        return self._client is not None and not route.uncontacted

    def client(self, route: Route, reference: str) -> UpstreamClient:
        """Return the client. Raise `OCIError` 404 without contact, or if a recent request found nothing."""
        if self._client is None or route.uncontacted:
            raise not_here(route, self._code, reference)
        self._misses.check(route, reference)
        return self._client

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error for a while, if it says that the upstream does not have the content."""
        self._misses.note(route, reference, error)
