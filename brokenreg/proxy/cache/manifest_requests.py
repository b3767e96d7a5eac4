"""Requests a manifest from an upstream, and checks the response."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError
from brokenreg.proxy.http.statuses import needs_get, status_error
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.storage.records import Manifest
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import HeadInconclusive
from brokenreg.wording import counted

if TYPE_CHECKING:
    from brokenreg.proxy.http.client import UpstreamResponse

# All types, even if the client accepts fewer: otherwise registries convert manifests to obsolete formats.
_ACCEPT = {"accept": ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, "*/*;q=0.5"))}


@dataclass(frozen=True, slots=True)
class ManifestContent:
    """A manifest and its bytes."""

    manifest: Manifest
    body: bytes


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """A manifest to request from an upstream, by its tag or digest. With `retry_429`, a 429 is retried."""

    client: Upstreams
    route: Route
    reference: str
    retry_429: bool
    add_event: AddEvent

    async def get(self, reference: str) -> ManifestContent:
        """Return the manifest by tag or digest. Raise `UpstreamError`."""
        async with self._send("GET", reference, _ACCEPT) as response:
            if response.status != 200:
                raise await status_error(self.route, ErrorCode.MANIFEST_UNKNOWN, reference, response)
            body = await response.read(MAX_MANIFEST)
            expected = Digest.parse(reference) if is_digest(reference) else _content_digest(response)
            kind = media_type((response.header("content-type") or "").partition(";")[0].strip())
        name = f"{self.route.repository}:{reference}"
        sender = response.source_with_encoding
        return await asyncio.to_thread(_checked, name, sender, body, expected, kind)  # takes up to 0.2 s

    async def current_digest(self, known: Digest) -> Digest | None:
        """Return the tag's current digest, or None if only a GET can find it. Raise `UpstreamError`.

        A HEAD does not count against rate limits. `known` is the digest of the cached manifest.
        """
        headers = {**_ACCEPT, "if-none-match": f'"{known}"'}
        try:
            async with self._send("HEAD", self.reference, headers) as response:
                if response.status == 304:
                    return known
                if response.status == 200:
                    return _content_digest(response)
                if not needs_get(response):
                    raise await status_error(self.route, ErrorCode.MANIFEST_UNKNOWN, self.reference, response)
        except UpstreamError as error:
            if error.is_transient:
                raise
        self.add_event(HeadInconclusive())
        return None

    def _send(
        self, method: str, reference: str, headers: dict[str, str]
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        path = f"manifests/{reference}"
        return self.client.request(
            self.route, method, path, headers=headers, add_event=self.add_event, retry_429=self.retry_429
        )


def _content_digest(response: UpstreamResponse) -> Digest | None:
    """Return the Docker-Content-Digest, or None. Raise `UpstreamContentError` if it is invalid."""
    value = response.header("docker-content-digest")
    try:
        return Digest.parse(value) if value else None
    except OCIError as error:
        raise UpstreamContentError(f"{response.source} sent {error.message}") from None


def _checked(
    name: str, sender: str, body: bytes, expected: Digest | None, kind: str | None
) -> ManifestContent:
    """Return the manifest that `sender` sent. Raise `UpstreamContentError` if it is invalid."""
    if has_too_many_values(body):
        raise UpstreamContentError(f"{sender} sent more than {MAX_VALUES} values for {name}")
    if not body.lstrip().startswith(b"{") or (expected is None and not _is_json(body)):
        sent = "no body" if not body else f"a body of type {kind or 'unknown'}, which is not a manifest,"
        raise UpstreamContentError(f"{sender} sent {sent} for {name}")
    digest = Digest.of(body, expected.algorithm if expected else "sha256")
    if expected is not None and digest != expected:
        raise UpstreamContentError(
            f"{sender} sent {counted(len(body), 'byte')} with the digest {digest} for manifest {expected}"
        )
    facts = manifest_facts(body)
    return ManifestContent(Manifest(digest, kind or facts.media_type or OCI_MANIFEST, len(body), facts), body)


def _is_json(body: bytes) -> bool:
    """Return whether a body is complete JSON. This is for manifests that no digest verifies."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
