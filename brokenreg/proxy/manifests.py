"""Manifests through the cache: byte for byte as the upstream has them, tags as fresh as need be."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    manifest_facts,
    media_type,
)
from brokenreg.proxy.answers import refusal, unknown
from brokenreg.proxy.client import Tell, UpstreamClient, UpstreamResponse
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamStatusError
from brokenreg.proxy.flights import Flights
from brokenreg.proxy.freshness import Freshness
from brokenreg.proxy.misses import Misses
from brokenreg.proxy.route import Route
from brokenreg.proxy.via import Via
from brokenreg.proxy.witness import Witness
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageFullError
from brokenreg.storage.records import Manifest
from brokenreg.traffic.exchange import Cache

logger = logging.getLogger(__name__)

# All kinds, whatever our client takes: without the newer ones registries convert to what is long dead.
_ACCEPT = {"accept": ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, "*/*;q=0.5"))}


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest and its bytes."""

    manifest: Manifest
    body: bytes


class ManifestCache:
    """Manifests of upstreams; `client` is None if nobody may be asked. Tags are fresh for `ttl` seconds.

    `close` ends what is under way.
    """

    def __init__(self, client: UpstreamClient | None, store: Store, ttl: float) -> None:
        self._client = client
        self._index = store.index
        self._misses = Misses()
        self._freshness = Freshness(ttl)
        self._flights: Flights[tuple[Route, str, Via], tuple[Found, Cache]] = Flights()

    async def find(self, route: Route, reference: str, witness: Witness) -> Found:
        """A manifest by tag or digest. Raise `OCIError` if it is not to be had."""
        known = await self._known(route, reference)
        unasked = self._unasked(route, reference)
        if known is not None and unasked is not None:
            witness.found(unasked)
            return known
        client = self._online(route, reference)
        key = (route, reference, route.via)
        follows = self._flights.is_under_way(key)
        found, cache = await self._flights.join(
            key, lambda: self._fetch(client, route, reference, known, witness.tell)
        )
        witness.found(Cache.FOLLOWED if follows and cache is not Cache.STALE else cache)
        return found

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _known(self, route: Route, reference: str) -> Found | None:
        repository = self._index.repository(route.key)
        manifest = repository.resolve(reference) if repository else None
        if manifest is not None:
            self._index.touch_manifest(route.key, manifest.digest, time.time())
        body = await self._index.manifest_body(manifest.digest) if manifest else None
        return None if manifest is None or body is None else Found(manifest, body)

    def _unasked(self, route: Route, reference: str) -> Cache | None:
        """What part the cache has if what is there is served unasked; None if not. A digest is for ever."""
        if is_digest(reference) or self._client is None:
            return Cache.HIT
        return self._freshness.unasked(route, reference)

    def _online(self, route: Route, reference: str) -> UpstreamClient:
        """Raise `OCIError` 404 if nobody may be asked, or was just now and had nothing."""
        if self._client is None:
            message = f"manifest {reference} of {route.name} is not here, and --offline asks nobody"
            raise unknown(ErrorCode.MANIFEST_UNKNOWN, reference, message)
        self._misses.check(route, reference)
        return self._client

    async def _fetch(
        self, client: UpstreamClient, route: Route, reference: str, known: Found | None, tell: Tell
    ) -> tuple[Found, Cache]:
        """Ask upstream; fall back on what is known where the failure may pass."""
        try:
            found, cache = await self._ask(client, route, reference, known, tell)
        except UpstreamError as error:
            if known is not None and error.may_pass:
                self._freshness.postpone(route, reference)
                tell(f"stale: {error.message}")
                logger.warning("%s:%s is served from the cache: %s", route.name, reference, error.message)
                return known, Cache.STALE
            if isinstance(error, UpstreamStatusError):
                await self._note_refusal(route, reference, error)
            raise
        if not is_digest(reference):
            self._freshness.confirm(route, reference)
        return found, cache

    async def _note_refusal(self, route: Route, reference: str, error: UpstreamStatusError) -> None:
        """A tag that is gone upstream is gone here."""
        self._misses.note(route, reference, error)
        if error.status == 404 and not is_digest(reference):
            self._freshness.forget(route, reference)
            await self._index.delete_tag(route.key, reference)

    async def _ask(
        self, client: UpstreamClient, route: Route, reference: str, known: Found | None, tell: Tell
    ) -> tuple[Found, Cache]:
        if known is None:
            return await self._get(client, route, reference, (), tell), Cache.MISS
        present = await self._present_digest(client, route, reference, known.manifest.digest, tell)
        if present == known.manifest.digest:
            return known, Cache.REVALIDATED
        if present is None:
            return await self._get(client, route, reference, (), tell), Cache.MISS
        cached = await self._known(route, present)
        if cached is not None:
            await self._keep(route, cached, (reference,), tell)
            return cached, Cache.REVALIDATED
        try:
            return await self._get(client, route, present, (reference,), tell), Cache.MISS
        except UpstreamStatusError as error:
            if error.status != 404:
                raise
        # It has moved on meanwhile, or HEAD has lied: the upstream may still have the tag.
        return await self._get(client, route, reference, (), tell), Cache.MISS

    async def _present_digest(
        self, client: UpstreamClient, route: Route, tag: str, known: Digest, tell: Tell
    ) -> Digest | None:
        """What the tag points at now; None if HEAD does not say. A HEAD counts against no rate limit."""
        headers = {**_ACCEPT, "if-none-match": f'"{known}"'}
        async with client.ask(route, "HEAD", f"manifests/{tag}", headers=headers, tell=tell) as response:
            if response.status == 304:
                return known
            if response.status == 405:
                return None
            if response.status != 200:
                raise await refusal(route, ErrorCode.MANIFEST_UNKNOWN, tag, response)
            return _told_digest(response)

    async def _get(
        self, client: UpstreamClient, route: Route, reference: str, tags: tuple[str, ...], tell: Tell
    ) -> Found:
        path = f"manifests/{reference}"
        async with client.ask(route, "GET", path, headers=_ACCEPT, tell=tell) as response:
            if response.status != 200:
                raise await refusal(route, ErrorCode.MANIFEST_UNKNOWN, reference, response)
            body = await response.read(MAX_MANIFEST)
            wanted = Digest.parse(reference) if is_digest(reference) else _told_digest(response)
            kind = media_type((response.header("content-type") or "").partition(";")[0].strip())
        name = f"{route.repository}:{reference}"  # in a thread, for the longest take 0.2 s
        found = await asyncio.to_thread(_checked, name, response.sender, body, wanted, kind)
        await self._keep(route, found, tags if is_digest(reference) else (reference,), tell)
        return found

    async def _keep(self, route: Route, found: Found, tags: tuple[str, ...], tell: Tell) -> None:
        try:
            await self._index.put_manifest(route.key, found.manifest, found.body, tags)
        except StorageFullError:
            tell("not cached: no room left")
            logger.warning("no room left in the data folder: manifests of %s are not cached", route.name)


def _told_digest(response: UpstreamResponse) -> Digest | None:
    """Docker-Content-Digest; None if there is none. Raise `UpstreamContentError` if it is no digest."""
    told = response.header("docker-content-digest")
    try:
        return Digest.parse(told) if told else None
    except OCIError as error:
        raise UpstreamContentError(f"{response.source} sent {error.message}") from None


def _checked(name: str, source: str, body: bytes, wanted: Digest | None, kind: str | None) -> Found:
    """`source` sent `body`. Raise `UpstreamContentError` if the body is not what it should be."""
    if not body.lstrip().startswith(b"{") or (wanted is None and not _is_document(body)):
        told = "no body" if not body else f"a body of type {kind or 'unknown'}, which is no manifest,"
        raise UpstreamContentError(f"{source} sent {told} for {name}")
    digest = Digest.of(body, wanted.algorithm if wanted else "sha256")
    if wanted is not None and digest != wanted:
        raise UpstreamContentError(
            f"{source} sent {len(body)} bytes with the digest {digest} for manifest {wanted}"
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
