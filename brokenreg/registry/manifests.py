"""Manifests: GET, HEAD, PUT and DELETE."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import lru_cache

from brokenreg.http.asgi import ReadyResponse
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    MAX_MANIFEST,
    MAX_VALUES,
    OCI_MANIFEST,
    has_too_many_values,
    manifest_facts,
    media_type,
)
from brokenreg.oci.names import check_tag
from brokenreg.proxy.default_upstream import RequestKind
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response, entity_tag, ready_response
from brokenreg.storage.records import Manifest
from brokenreg.wording import counted

_MAX_TAGS = 100
_CACHED = 1024
"""Maximum number of manifests whose headers are cached."""


def get_manifest(request: RegistryRequest) -> Response | Awaitable[Response]:
    """GET and HEAD `/v2/<name>/manifests/<reference>`."""
    if request.is_fabricated:
        return _get_fabricated(request)
    repository = request.store.index.repositories.get(request.target.key)
    manifest = repository.resolve(request.target.reference) if repository else None
    if manifest is None:
        return _get_from_upstream(request)
    body = request.store.index.recent_manifest_body(manifest.digest)
    if body is None:
        return _get_stored(request, manifest)
    return _response(request, manifest.digest, manifest.media_type, body)


async def put_manifest(request: RegistryRequest) -> Response:
    """PUT `/v2/<name>/manifests/<reference>`. With a digest, `?tag=` parameters may add tags.

    Any media type and any content are accepted, because this registry is for unusual content. With
    `?digest=`, the manifest is verified and stored with that digest, whose algorithm may not be sha256.
    """
    request.check_writable()
    reference = request.target.reference
    tags = [reference]
    if is_digest(reference):
        tags = [check_tag(tag) for tag in request.query.get("tag", ()) if tag]
    if len(tags) > _MAX_TAGS:
        raise OCIError(
            414,
            ErrorCode.TAG_INVALID,
            f"{counted(len(tags), 'tag')} in one request: use at most {_MAX_TAGS}",
        )
    body = await request.body.whole(MAX_MANIFEST)
    digests = _announced_digests(request)
    manifest = await asyncio.to_thread(_parse, request, body, digests)  # long ones take up to 0.2 s
    await _link_cached_blobs(request, manifest)
    replaces = _replaces(request, manifest, tags)
    await request.store.index.put_manifest(request.key, manifest, body, tags)
    if replaces:
        await request.deliver()
    headers = [
        ("location", request.location("manifests", manifest.digest)),
        ("docker-content-digest", str(manifest.digest)),
    ]
    if manifest.facts.subject:
        headers.append(("oci-subject", manifest.facts.subject))
    if is_digest(reference):
        headers.extend(("oci-tag", tag) for tag in tags)
    return ready_response(201, headers)


async def delete_manifest(request: RegistryRequest) -> Response:
    """DELETE `/v2/<name>/manifests/<reference>`: delete only a tag, or a manifest with all of its tags."""
    request.check_writable()
    reference = request.target.reference
    if is_digest(reference):
        found = await request.store.index.delete_manifest(request.key, request.target.digest)
    else:
        found = await request.store.index.delete_tag(request.key, reference)
    if not found:
        raise _unknown(request)
    await request.deliver()
    return ready_response(202)


async def _get_fabricated(request: RegistryRequest) -> Response:
    making = request.images.image(request.target.repository, request.target.reference, request.trace)
    image = await request.unless_gone_or_known(making)
    return _response(request, image.digest, image.media_type, image.manifest)


async def _get_stored(request: RegistryRequest, manifest: Manifest) -> Response:
    body = await request.store.index.manifest_body(manifest.digest)
    if body is None:  # it was deleted in the meantime
        return await _get_from_upstream(request)
    return _response(request, manifest.digest, manifest.media_type, body)


async def _get_from_upstream(request: RegistryRequest) -> Response:
    if request.route is None:
        raise _unknown(request)
    kind = RequestKind.HEAD if request.method == "HEAD" else RequestKind.GET
    finding = request.proxy.manifests.find(request.route, request.target.reference, request.trace, kind)
    found = await request.unless_gone(finding)
    return _response(request, found.manifest.digest, found.manifest.media_type, found.body)


def _response(request: RegistryRequest, digest: Digest, kind: str, body: bytes) -> Response:
    if request.has_content(digest):
        return _head(digest, kind, 304, 0)
    return ReadyResponse(200, _head(digest, kind, 200, len(body)).headers, body)


@lru_cache(_CACHED)
def _head(digest: Digest, kind: str, status: int, length: int) -> ReadyResponse:
    """Return the response for a manifest of `length` bytes, without its body."""
    headers = [("content-type", kind), ("docker-content-digest", digest), ("etag", entity_tag(digest))]
    if status != 304:
        headers.append(("content-length", str(length)))
    return ready_response(status, headers)


def _replaces(request: RegistryRequest, manifest: Manifest, tags: list[str]) -> bool:
    """Return whether other processes may still serve what a push replaces.

    That is another manifest with one of the tags, or the same bytes with another media type.
    """
    repository, digest = request.repository, manifest.digest
    if repository is None:
        return False
    is_tagged_anew = any(repository.tags.get(tag, digest) != digest for tag in tags)
    return is_tagged_anew or repository.manifests.get(digest, manifest) != manifest


async def _link_cached_blobs(request: RegistryRequest, manifest: Manifest) -> None:
    """Link the blobs of a pushed manifest that are only in the cache, because the cache may evict them."""
    here = request.repository.links if request.repository else {}
    for repository in request.store.index.present(request.proxy.naming.places(request.target)):
        for name in manifest.facts.names:
            if name in repository.links and name not in here:
                await request.store.link(request.key, Digest(name))


def _announced_digests(request: RegistryRequest) -> list[Digest]:
    """Return the digests in the path and in `?digest=`. Raise `OCIError` 400."""
    in_query = request.parameter("digest")
    in_path = [request.target.digest] if is_digest(request.target.reference) else []
    return in_path if in_query is None else [*in_path, Digest.parse(in_query)]


def _parse(request: RegistryRequest, body: bytes, announced: list[Digest]) -> Manifest:
    """Return the pushed manifest with the first `announced` digest.

    Raise `OCIError` 400 if it is empty, has too many values, or does not match the announced digests.
    """
    if not body:
        raise OCIError(400, ErrorCode.MANIFEST_INVALID, "the manifest is empty")
    if has_too_many_values(body):
        raise OCIError(
            400, ErrorCode.MANIFEST_INVALID, f"the manifest has more than {MAX_VALUES} JSON values"
        )
    for digest in announced:
        if (actual := Digest.of(body, digest.algorithm)) != digest:
            raise OCIError(
                400,
                ErrorCode.DIGEST_INVALID,
                f"received {counted(len(body), 'byte')} with the digest {actual}, not {digest}",
            )
    digest = announced[0] if announced else Digest.of(body)
    facts = manifest_facts(body)
    declared = media_type((request.header("content-type") or "").partition(";")[0].strip())
    return Manifest(digest, declared or facts.media_type or OCI_MANIFEST, len(body), facts)


def _unknown(request: RegistryRequest) -> OCIError:
    return OCIError(
        404,
        ErrorCode.MANIFEST_UNKNOWN,
        f"{request.target.name} has no manifest {request.target.reference}",
        detail={"reference": request.target.reference},
    )
