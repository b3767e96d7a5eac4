"""Manifests through the cache: byte for byte as the upstream has them, tags as fresh as need be."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_MANIFEST,
    MAX_VALUES,
    OCI_INDEX,
    OCI_MANIFEST,
    has_too_many_values,
    manifest_facts,
    media_type,
)
from brokenreg.proxy.cache.freshness import CacheServices, Freshness, UpstreamAccess
from brokenreg.proxy.default_upstream import ContentRequest, RequestKind
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.http.client import UpstreamClient, UpstreamResponse
from brokenreg.proxy.http.statuses import get_decides, refusal
from brokenreg.proxy.routes import Route, Via
from brokenreg.proxy.shared_requests import SharedRequests
from brokenreg.storage.cache import CachedManifests
from brokenreg.storage.errors import StorageFullError
from brokenreg.storage.records import Manifest
from brokenreg.traffic.timeline_events import AddEvent, Cache, HeadInconclusive, NotCached, ServedStale
from brokenreg.traffic.upstream_trace import UpstreamTrace
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

# All kinds, whatever our client takes: without the newer ones registries convert to what is long dead.
_ACCEPT = {"accept": ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, "*/*;q=0.5"))}


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest and its bytes."""

    manifest: Manifest
    body: bytes


@dataclass(frozen=True, slots=True)
class Asking:
    """A manifest to request from an upstream; without patience, a 429 is not retried."""

    client: UpstreamClient
    route: Route
    reference: str
    is_patient: bool
    tell: AddEvent

    def request(
        self, method: str, reference: str, headers: dict[str, str]
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        """Request the manifest, by its own reference or by a digest. Raise `UpstreamError`."""
        path = f"manifests/{reference}"
        return self.client.ask(
            self.route, method, path, headers=headers, tell=self.tell, is_patient=self.is_patient
        )


class ManifestCache:
    """Manifests of upstreams. `close` ends all requests."""

    def __init__(self, services: CacheServices) -> None:
        self._access = UpstreamAccess(services.client, ErrorCode.MANIFEST_UNKNOWN)
        self._index = services.store.index
        self._cached = CachedManifests(services.store.index)
        self._keep_gone = services.keep_gone
        self._default_upstream = services.default_upstream
        self._freshness = Freshness(services.ttl)
        self._flights: SharedRequests[tuple[Route, str, Via, bool], tuple[Found, Cache]] = SharedRequests()

    async def find(
        self, route: Route, reference: str, trace: UpstreamTrace, kind: RequestKind = RequestKind.GET
    ) -> Found:
        """A manifest by tag or digest. Raise `OCIError` if it is not to be had."""
        known = await self._known(route, reference)
        unasked = self._unasked(route, reference)
        if known is not None and unasked is not None:
            trace.found(unasked)
            return known
        client = self._access.client(route, reference)
        is_patient = not route.short_name or kind is RequestKind.GET
        key = (route, reference, route.via, is_patient)
        follows = self._flights.is_under_way(key)
        asking = Asking(client, route, reference, is_patient, trace.add)
        found, cache = await self._default_upstream.run(
            route,
            ContentRequest(kind, ErrorCode.MANIFEST_UNKNOWN, reference),
            lambda: self._flights.join(key, lambda: self._fetch(asking, known)),
            lambda error: self._fall_back(asking, known, error, is_told=follows),
        )
        trace.found(Cache.JOINED if follows and cache is not Cache.STALE else cache)
        return found

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _known(self, route: Route, reference: str) -> Found | None:
        repository = self._index.repository(route.key)
        manifest = repository.resolve(reference) if repository else None
        if manifest is not None:
            self._index.touch_manifest(route.key, manifest.digest, time.time())
            self._cached.used(route.key, manifest.digest)
        body = await self._index.manifest_body(manifest.digest) if manifest else None
        return None if manifest is None or body is None else Found(manifest, body)

    def _unasked(self, route: Route, reference: str) -> Cache | None:
        """What part the cache has if what is there is served unasked; None if not. A digest is for ever."""
        if is_digest(reference) or not self._access.is_allowed(route):
            return Cache.HIT
        return self._freshness.state(route, reference)

    async def _fetch(self, asking: Asking, known: Found | None) -> tuple[Found, Cache]:
        """Send the request, and remember what the upstream says about the tag."""
        try:
            found, cache = await self._ask(asking, known)
        except UpstreamStatusError as error:
            if known is None or not self._keep_gone:
                await self._note_refusal(asking, error)
            raise
        if not is_digest(asking.reference):
            self._freshness.confirm(asking.route, asking.reference)
        return found, cache

    def _fall_back(
        self, asking: Asking, known: Found | None, error: UpstreamError, *, is_told: bool
    ) -> tuple[Found, Cache]:
        """Return the cached manifest as stale if the failure allows it, or raise the error again."""
        is_kept = self._keep_gone and isinstance(error, UpstreamStatusError) and error.is_gone
        if known is None or not (error.is_transient or is_kept):
            raise error
        self._freshness.postpone(asking.route, asking.reference)
        asking.tell(ServedStale(error.message))
        if not is_told:
            name = f"{asking.route.name}:{asking.reference}"
            logger.warning("%s is served from the cache: %s", name, error.message)
        return known, Cache.STALE

    async def _note_refusal(self, asking: Asking, error: UpstreamStatusError) -> None:
        """A tag that is gone upstream is gone here."""
        route, reference = asking.route, asking.reference
        self._access.note(route, reference, error)
        if error.is_gone and not is_digest(reference):
            self._freshness.forget(route, reference)
            await self._index.delete_tag(route.key, reference)

    async def _ask(self, asking: Asking, known: Found | None) -> tuple[Found, Cache]:
        reference = asking.reference
        if known is None:
            return await self._get(asking, reference), Cache.MISS
        present = await _present_digest(asking, known.manifest.digest)
        if present == known.manifest.digest:
            return known, Cache.REVALIDATED
        if present is None:
            return await self._get(asking, reference), Cache.MISS
        cached = await self._known(asking.route, present)
        if cached is not None:
            await self._keep(asking, cached, (reference,))
            return cached, Cache.REVALIDATED
        try:
            return await self._get(asking, present), Cache.MISS
        except UpstreamStatusError as error:
            if error.status != 404:
                raise
        # It has moved on meanwhile, or HEAD has lied: the upstream may still have the tag.
        return await self._get(asking, reference), Cache.MISS

    async def _get(self, asking: Asking, reference: str) -> Found:
        """Fetch by `reference`: the requested reference, or its current digest."""
        route = asking.route
        async with asking.request("GET", reference, _ACCEPT) as response:
            if response.status != 200:
                raise await refusal(route, ErrorCode.MANIFEST_UNKNOWN, reference, response)
            body = await response.read(MAX_MANIFEST)
            wanted = Digest.parse(reference) if is_digest(reference) else _told_digest(response)
            kind = media_type((response.header("content-type") or "").partition(";")[0].strip())
        name = f"{route.repository}:{reference}"  # in a thread, for the longest take 0.2 s
        found = await asyncio.to_thread(_checked, name, response.sender, body, wanted, kind)
        await self._keep(asking, found, () if is_digest(asking.reference) else (asking.reference,))
        return found

    async def _keep(self, asking: Asking, found: Found, tags: tuple[str, ...]) -> None:
        try:
            await self._index.put_manifest(asking.route.key, found.manifest, found.body, tags)
            await self._cached.add(asking.route.key, found.manifest.digest, found.manifest.size)
        except StorageFullError:
            asking.tell(NotCached("no room left"))
            logger.warning(
                "no room left in the data folder: manifests of %s are not cached", asking.route.name
            )


async def _present_digest(asking: Asking, known: Digest) -> Digest | None:
    """Return the tag's current digest, or None if GET must decide. A HEAD counts against no rate limit."""
    headers = {**_ACCEPT, "if-none-match": f'"{known}"'}
    try:
        async with asking.request("HEAD", asking.reference, headers) as response:
            if response.status == 304:
                return known
            if response.status == 200:
                return _told_digest(response)
            if not get_decides(response):
                raise await refusal(asking.route, ErrorCode.MANIFEST_UNKNOWN, asking.reference, response)
    except UpstreamError as error:
        if error.is_transient:
            raise
    asking.tell(HeadInconclusive())
    return None


def _told_digest(response: UpstreamResponse) -> Digest | None:
    """Docker-Content-Digest; None if there is none. Raise `UpstreamContentError` if it is no digest."""
    told = response.header("docker-content-digest")
    try:
        return Digest.parse(told) if told else None
    except OCIError as error:
        raise UpstreamContentError(f"{response.source} sent {error.message}") from None


def _checked(name: str, source: str, body: bytes, wanted: Digest | None, kind: str | None) -> Found:
    """`source` sent `body`. Raise `UpstreamContentError` if the body is not what it should be."""
    if has_too_many_values(body):
        raise UpstreamContentError(f"{source} sent more than {MAX_VALUES} values for {name}")
    if not body.lstrip().startswith(b"{") or (wanted is None and not _is_document(body)):
        told = "no body" if not body else f"a body of type {kind or 'unknown'}, which is no manifest,"
        raise UpstreamContentError(f"{source} sent {told} for {name}")
    digest = Digest.of(body, wanted.algorithm if wanted else "sha256")
    if wanted is not None and digest != wanted:
        raise UpstreamContentError(
            f"{source} sent {counted(len(body), 'byte')} with the digest {digest} for manifest {wanted}"
        )
    facts = manifest_facts(body)
    return Found(Manifest(digest, kind or facts.media_type or OCI_MANIFEST, len(body), facts), body)


def _is_document(body: bytes) -> bool:
    """Whether it is whole, as far as can be told where no digest vouches for it."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
