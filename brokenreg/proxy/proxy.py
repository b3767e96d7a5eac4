"""The proxy as the registry sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from brokenreg.oci.target import Target
from brokenreg.proxy.blobs import BlobCache
from brokenreg.proxy.client import UpstreamClient
from brokenreg.proxy.listings import Listings
from brokenreg.proxy.manifests import ManifestCache
from brokenreg.proxy.naming import Naming
from brokenreg.proxy.route import Route
from brokenreg.proxy.via import parse_via
from brokenreg.storage import Store


class Proxy:
    """Images of other registries. Without a `client` nobody is asked, and what is cached is served."""

    def __init__(self, naming: Naming, client: UpstreamClient | None, store: Store, ttl: float) -> None:
        self.naming = naming
        self.client = client
        self.blobs = BlobCache(client, store)
        self.manifests = ManifestCache(client, store, ttl)
        self.listings = Listings(client, store, ttl)

    @property
    def is_offline(self) -> bool:
        """Whether nobody is asked."""
        return self.client is None

    def route(self, target: Target, via: Sequence[str]) -> Route | None:
        """Where an image comes from, as `Naming.route`; `via` are the request's headers of that name.

        Raise `UpstreamLoopError` for a request that we ourselves have sent, by whatever way.
        """
        come_by = () if self.client is None else parse_via(via, self.client.pseudonym)
        return self.naming.route(target, come_by)

    async def close(self) -> None:
        """End what is under way: what was fetched by half is fetched again another time."""
        await asyncio.gather(self.blobs.close(), self.manifests.close(), self.listings.close())
        if self.client is not None:
            await self.client.close()
