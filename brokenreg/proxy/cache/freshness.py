"""Decides when an upstream is contacted. Fresh content, remembered 404s and offline mode avoid a request.

All of this is in memory only: after a restart, each tag costs one HEAD.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cachetools import TLRUCache, TTLCache

from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.cache.turns import ReplicaDownloads
from brokenreg.proxy.default_upstream import DefaultUpstreamPolicy
from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.statuses import not_cached
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.storage import Store
from brokenreg.traffic.upstream_events import Cache

MAX_STALE = 10.0
"""Seconds for which cached content is served without another request after its upstream has failed."""

_MAX_FRESH = 10_000
"""Maximum number of tags and lists whose freshness is remembered. A dropped tag costs another HEAD."""

NEGATIVE_TTL = 10.0
"""Seconds for which a 404 is remembered. Other errors are not: they may end at any time."""

_MAX_NEGATIVE = 10_000

Key = tuple[Route, str]
"""A repository, and a reference there or the path of a list."""


@dataclass(frozen=True, slots=True)
class CacheServices:
    """The client, the store and the settings that the caches of blobs, manifests and lists share.

    `client` is None if no upstream may be contacted. Tags and lists are fresh for `ttl` seconds. With
    `keep_gone`, content that its upstream has deleted is still served. Unless it is None, `replicas` reads
    the downloads of other processes.
    """

    client: Upstreams | None
    store: Store
    ttl: float
    keep_gone: bool = False
    default_upstream: DefaultUpstreamPolicy = field(default_factory=DefaultUpstreamPolicy)
    replicas: ReplicaDownloads | None = None


class Freshness:
    """Remembers for which tags and lists the cache responds without a request to the upstream.

    They are fresh for `ttl` seconds after a response. A request each time would use up the upstream's rate
    limit.
    """

    def __init__(self, ttl: float) -> None:
        lifetimes = {Cache.HIT: ttl, Cache.STALE: min(MAX_STALE, ttl)}
        self._states: TLRUCache[Key, Cache] = TLRUCache(
            _MAX_FRESH, ttu=lambda _, state, now: now + lifetimes[state]
        )

    def state(self, route: Route, reference: str) -> Cache | None:
        """Return HIT or STALE if no request to the upstream is necessary, or None if one is."""
        return self._states.get((route, reference))

    def confirm(self, route: Route, reference: str) -> None:
        """Mark content as fresh after the upstream has sent or confirmed it."""
        self._states[route, reference] = Cache.HIT

    def postpone(self, route: Route, reference: str) -> None:
        """Mark content as stale after the upstream has failed. It is not requested again for a while."""
        self._states[route, reference] = Cache.STALE

    def forget(self, route: Route, reference: str) -> None:
        """Forget the state, so that the next request contacts the upstream."""
        self._states.pop((route, reference), None)


class NegativeCache:
    """Remembers 404s by route and reference."""

    def __init__(self) -> None:
        self._errors: TTLCache[Key, UpstreamStatusError] = TTLCache(_MAX_NEGATIVE, NEGATIVE_TTL)

    def check(self, route: Route, reference: str) -> None:
        """Raise the remembered `UpstreamStatusError`, if any."""
        error = self._errors.get((route, reference))
        if error is not None:
            raise error.copy()

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error if it says that the upstream does not have the content."""
        if isinstance(error, UpstreamStatusError) and error.is_gone:
            self._errors[route, reference] = error.copy()


class UpstreamAccess:
    """Provides the client if the upstream may be contacted. `code` is the error code of a 404."""

    def __init__(self, client: Upstreams | None, code: ErrorCode) -> None:
        self._client = client
        self._code = code
        self._negative = NegativeCache()

    def is_allowed(self, route: Route) -> bool:
        """Return whether the upstream may be contacted for that request."""
        return self._client is not None and not route.no_contact_reason

    def client(self, route: Route, reference: str) -> Upstreams:
        """Return the client. Raise `OCIError` 404 if it must not be used, or if a 404 is remembered."""
        if self._client is None or route.no_contact_reason:
            raise not_cached(route, self._code, reference)
        self._negative.check(route, reference)
        return self._client

    def note(self, route: Route, reference: str, error: UpstreamError) -> None:
        """Remember an error for a while, if it says that the upstream does not have the content."""
        self._negative.note(route, reference, error)
