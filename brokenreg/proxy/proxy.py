"""The proxy: finds the upstream of an image, and serves its blobs, manifests and lists."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from brokenreg.oci.target import Target
from brokenreg.proxy.cache.blobs import BlobCache
from brokenreg.proxy.cache.freshness import CacheServices
from brokenreg.proxy.cache.listings import Listings
from brokenreg.proxy.cache.manifests import ManifestCache
from brokenreg.proxy.cache.turns import ReplicaDownloads
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import OFFLINE, Naming, Route, parse_via
from brokenreg.storage import Store


class Proxy:
    """Serves images of other registries. Without a `client`, only cached content is served.

    Tags are fresh for `ttl` seconds; with `keep_gone`, tags that their upstream has deleted stay. `replicas`
    reads what other processes download, unless it is None.
    """

    def __init__(
        self,
        naming: Naming,
        client: Upstreams | None,
        store: Store,
        ttl: float,
        *,
        keep_gone: bool = False,
        replicas: ReplicaDownloads | None = None,
    ) -> None:
        services = CacheServices(client, store, ttl, keep_gone, replicas=replicas)
        self.naming = naming
        self.client = client
        self.blobs = BlobCache(services)
        self.manifests = ManifestCache(services)
        self.listings = Listings(services)
        self._index = store.index

    @property
    def is_offline(self) -> bool:
        """Return whether no upstream is contacted at all."""
        return self.client is None

    def route(self, target: Target, via: Sequence[str]) -> Route | None:
        """Return the route to an image, as `Naming.route` does; `via` are the request's Via headers.

        The default upstream is not contacted for a name that was ever pushed to. Raise `UpstreamLoopError`
        for a request that this proxy itself has sent, directly or through others.
        """
        route = self.naming.route(target)
        if route is None:
            return None
        if self.client is None:
            return replace(route, no_contact_reason=OFFLINE)
        if route.short_name and self._index.was_pushed_to(target.key):
            reason = f"{route.upstream} is not contacted for a name that was pushed to"
            return replace(route, no_contact_reason=reason)
        return replace(route, via=parse_via(via, self.client.pseudonym))

    async def close(self) -> None:
        """End all downloads and requests. A partly fetched blob is fetched again later."""
        await asyncio.gather(self.blobs.close(), self.manifests.close(), self.listings.close())
        if self.client is not None:
            await self.client.close()
