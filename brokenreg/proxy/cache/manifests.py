"""Manifests of upstreams: from the cache if fresh, or else revalidated or fetched. Bytes stay unchanged."""

from __future__ import annotations

import logging
import time

from brokenreg.oci.digests import is_digest
from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.cache.freshness import CacheServices, Freshness, UpstreamAccess
from brokenreg.proxy.cache.manifest_requests import ManifestContent, ManifestRequest
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind
from brokenreg.proxy.errors import UpstreamError, UpstreamStatusError
from brokenreg.proxy.routes import Route, Via
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage.cached_manifests import CachedManifests
from brokenreg.storage.changes import TagConfirmed
from brokenreg.storage.errors import StorageError, StorageFullError
from brokenreg.storage.shared.leases import Lease
from brokenreg.traffic.exchange import UpstreamTrace
from brokenreg.traffic.upstream_events import Cache, NotCached, ServedStale

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds to wait for the request of another process. Then this process sends one too.

It is shorter than the wait for the default upstream, which would count as down because of a lost process.
"""

Found = tuple[ManifestContent, Cache]
"""A manifest, and how the cache was used to find it."""


class ManifestCache:
    """Serves the manifests of upstreams. `close` ends all requests."""

    def __init__(self, services: CacheServices) -> None:
        self._access = UpstreamAccess(services.client, ErrorCode.MANIFEST_UNKNOWN)
        self._index = services.store.index
        self._cached = CachedManifests(services.store.index)
        self._keep_gone = services.keep_gone
        self._default_upstream = services.default_upstream
        self._ttl = services.ttl
        self._freshness = Freshness(services.ttl)
        self._index.tag_confirmed = self._note_confirmed
        self._flights: SharedRequests[tuple[Route, str, Via, bool], Found] = SharedRequests()

    async def find(
        self, route: Route, reference: str, trace: UpstreamTrace, kind: RequestKind = RequestKind.GET
    ) -> ManifestContent:
        """Return a manifest by tag or digest. Raise `OCIError` if it cannot be served."""
        known = await self._known(route, reference)
        state = self._state(route, reference)
        if known is not None and state is not None:
            trace.found(state)
            return known
        client = self._access.client(route, reference)
        retry_429 = not route.short_name or kind is RequestKind.GET
        key = (route, reference, route.via, retry_429)
        is_joined = self._flights.is_under_way(key)
        request = ManifestRequest(client, route, reference, retry_429, trace.add)
        found, cache = await self._default_upstream.run(
            route,
            ContentRequest(kind, ErrorCode.MANIFEST_UNKNOWN, reference),
            lambda: self._flights.join(key, lambda: self._fetch(request, known)),
            lambda error: self._fall_back(request, known, error, is_logged=is_joined),
        )
        trace.found(Cache.JOINED if is_joined and cache is not Cache.STALE else cache)
        return found

    async def close(self) -> None:
        """End all requests."""
        await self._flights.close()

    async def _known(self, route: Route, reference: str) -> ManifestContent | None:
        """Return a cached manifest or None, and note the time of its use."""
        repository = self._index.repository(route.key)
        manifest = repository.resolve(reference) if repository else None
        if manifest is not None:
            self._index.touch_manifest(route.key, manifest.digest, time.time())
            self._cached.used(route.key, manifest.digest)
        body = await self._index.manifest_body(manifest.digest) if manifest else None
        return None if manifest is None or body is None else ManifestContent(manifest, body)

    def _state(self, route: Route, reference: str) -> Cache | None:
        """Return HIT or STALE if cached content is served without a request. Digests are always fresh."""
        if is_digest(reference) or not self._access.is_allowed(route):
            return Cache.HIT
        return self._freshness.state(route, reference)

    async def _fetch(self, request: ManifestRequest, known: ManifestContent | None) -> Found:
        """Return what another process has just fetched or confirmed, or do so for all with this database."""
        route, reference = request.route, request.reference
        if not self._index.is_shared or (self._ttl == 0 and not is_digest(reference)):
            return await self._request(request, known)
        lease = await self._turn(" ".join(("manifest", *route.key, reference)))
        done: list[TagConfirmed] = []
        try:
            found = await self._known(route, reference)
            if found is not None and self._state(route, reference) is not None:
                return found, Cache.JOINED
            requested = await self._request(request, found or known)
            if not is_digest(reference):
                done.append(TagConfirmed(route.key, reference, time.time()))
            return requested
        finally:
            if lease is not None:
                await self._index.leases.end(lease, done)

    async def _turn(self, name: str) -> Lease | None:
        """Return a lease for a request; None if another process is slow, or without the database."""
        try:
            return await self._index.leases.take(name, PATIENCE)
        except StorageError as error:
            logger.info("%s; not waiting for the requests of others", error)
            return None

    def _note_confirmed(self, confirmed: TagConfirmed) -> None:
        """Note that a process, which may be another one, has just asked an upstream for a tag."""
        if time.time() - confirmed.when < self._ttl:
            self._freshness.confirm(Route.of(confirmed.key), confirmed.tag)

    async def _request(self, request: ManifestRequest, known: ManifestContent | None) -> Found:
        """Revalidate or fetch a manifest, and remember the result for the tag."""
        try:
            found, cache = await self._revalidate(request, known)
        except UpstreamStatusError as error:
            if known is None or not self._keep_gone:
                await self._note_error(request, error)
            raise
        if not is_digest(request.reference):
            self._freshness.confirm(request.route, request.reference)
        return found, cache

    async def _revalidate(self, request: ManifestRequest, known: ManifestContent | None) -> Found:
        """Return the current manifest, with only a HEAD if possible. Raise `UpstreamError`."""
        reference = request.reference
        if known is None:
            return await self._get(request, reference), Cache.MISS
        current = await request.current_digest(known.manifest.digest)
        if current == known.manifest.digest:
            return known, Cache.REVALIDATED
        if current is None:
            return await self._get(request, reference), Cache.MISS
        cached = await self._known(request.route, current)
        if cached is not None:
            await self._store(request, cached, (reference,))
            return cached, Cache.REVALIDATED
        try:
            return await self._get(request, current), Cache.MISS
        except UpstreamStatusError as error:
            if error.status != 404:
                raise
        # The tag has moved again, or the digest of the HEAD was wrong. Requesting the tag may still succeed.
        return await self._get(request, reference), Cache.MISS

    async def _get(self, request: ManifestRequest, reference: str) -> ManifestContent:
        found = await request.get(reference)
        await self._store(request, found, () if is_digest(request.reference) else (request.reference,))
        return found

    async def _store(self, request: ManifestRequest, found: ManifestContent, tags: tuple[str, ...]) -> None:
        try:
            await self._index.put_manifest(request.route.key, found.manifest, found.body, tags)
            await self._cached.add(request.route.key, found.manifest.digest, found.manifest.size)
        except StorageFullError:
            request.add_event(NotCached("the data folder is full"))
            logger.warning("the data folder is full: manifests of %s are not cached", request.route.name)

    async def _note_error(self, request: ManifestRequest, error: UpstreamStatusError) -> None:
        """Remember a 404. If the upstream has deleted the tag, delete the cached one too."""
        route, reference = request.route, request.reference
        self._access.note(route, reference, error)
        if error.is_gone and not is_digest(reference):
            self._freshness.forget(route, reference)
            await self._index.delete_tag(route.key, reference)

    def _fall_back(
        self,
        request: ManifestRequest,
        known: ManifestContent | None,
        error: UpstreamError,
        *,
        is_logged: bool,
    ) -> Found:
        """Return the cached manifest as stale if the failure allows it, or raise the error again."""
        is_kept = self._keep_gone and isinstance(error, UpstreamStatusError) and error.is_gone
        if known is None or not (error.is_transient or is_kept):
            raise error
        self._freshness.postpone(request.route, request.reference)
        request.add_event(ServedStale(error.message))
        if not is_logged:
            name = f"{request.route.name}:{request.reference}"
            logger.warning("%s is served from the cache: %s", name, error.message)
        return known, Cache.STALE
