"""Blobs: GET and HEAD with ranges, and DELETE."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import TypeVar

from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCTET_STREAM
from brokenreg.proxy.routes import Route
from brokenreg.registry.ranges import parse_range, range_of
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Parts, Response, StreamedResponse, entity_tag, ready_response
from brokenreg.storage.blob_download import BlobDownload, Piece
from brokenreg.storage.blobs import BlobFile
from brokenreg.storage.objects.remote_blobs import RemoteBlobs
from brokenreg.storage.records import StoredObject

_CACHED = 1024
"""Maximum number of blobs whose headers are cached."""

Found = TypeVar("Found")
Pairs = tuple[tuple[str, str], ...]


def get_blob(request: RegistryRequest) -> Response | Awaitable[Response]:
    """GET and HEAD `/v2/<name>/blobs/<digest>`."""
    if request.is_fabricated:
        return _get_fabricated(request)
    return _head(request) if request.method == "HEAD" else _get(request)


def _head(request: RegistryRequest) -> Response | Awaitable[Response]:
    digest = request.target.digest
    size = _stored(request, digest, request.store.size)
    if size is None:
        return _head_elsewhere(request)
    response = ready_response(304, _headers(digest)) if request.has_content(digest) else _found(digest, size)
    noting = request.store.index.touch_link(request.key, digest, time.time())
    return response if noting is None else _once_noted(request, noting, response)


async def _once_noted(request: RegistryRequest, noting: asyncio.Task[bool], response: Response) -> Response:
    """Respond to HEAD once the blob is sure to stay: the client may push a manifest, but not the blob."""
    return response if await asyncio.shield(noting) else await _head_elsewhere(request)


def _head_elsewhere(request: RegistryRequest) -> Awaitable[Response]:
    if request.route is None:
        raise _unknown(request)
    return _head_from_upstream(request, request.route)


def _get(request: RegistryRequest) -> Response | Awaitable[Response]:
    found = _stored(request, request.target.digest, request.store.find)
    if found is not None:
        request.store.index.touch_link(request.key, request.target.digest, time.time())
    if isinstance(found, BlobFile):
        return _get_file(request, found)
    if isinstance(found, StoredObject):
        return _get_object(request, found)
    if request.route is None:
        raise _unknown(request)
    return _get_from_upstream(request, request.route)


def _get_file(request: RegistryRequest, file: BlobFile) -> Response | Awaitable[Response]:
    request.resources.enter_context(file)
    objects = request.store.objects
    if objects is not None and objects.redirects and not request.has_content(request.target.digest):
        stored = request.store.index.intact_object(request.target.digest)
        if stored is not None:
            return _redirect(request, objects, stored)
    return _response(request, file, file.size)


async def _get_object(request: RegistryRequest, stored: StoredObject) -> Response:
    """Respond with a blob that is only in the object store.

    A range is passed on to the store, unless its beginning has arrived already.
    """
    objects, digest = request.store.objects, request.target.digest
    assert objects is not None  # noqa: S101 - for the type checker
    if request.has_content(digest):
        return ready_response(304, _headers(digest))
    if objects.redirects:
        return await _redirect(request, objects, stored)
    interval = parse_range(range_of(request, digest), stored.size)
    is_part = interval not in (None, (0, stored.size))
    if interval is not None and is_part and not objects.downloads.has_begun(digest, interval[0]):
        opening = objects.downloads.open_range(digest, stored, *interval)
        return _partial(digest, interval, stored.size, await request.unless_gone(opening))
    fetch = objects.downloads.fetch(digest, stored)
    request.resources.enter_context(fetch.reading())
    await request.unless_gone(fetch.begun())
    return _response(request, fetch, stored.size)


async def _redirect(request: RegistryRequest, objects: RemoteBlobs, stored: StoredObject) -> Response:
    """Send the client to the object store."""
    location = await request.unless_gone(objects.signed_url(stored))
    digest = request.target.digest
    return ready_response(307, (("location", location), ("docker-content-digest", digest)))


async def delete_blob(request: RegistryRequest) -> Response:
    """DELETE `/v2/<name>/blobs/<digest>`: delete the repository's link. A blob without links is garbage."""
    request.check_writable()
    if not await request.store.index.unlink_blobs(request.key, [request.target.digest]):
        raise _unknown(request)
    await request.deliver()
    return ready_response(202)


async def _get_fabricated(request: RegistryRequest) -> Response:
    making = request.images.blob(request.target.repository, request.target.digest, request.trace)
    blob = await request.unless_gone_or_known(making)
    if blob is None:
        raise _unknown(request)
    return _response(request, blob, blob.size)


def _stored(request: RegistryRequest, digest: Digest, find: Callable[[Digest], Found | None]) -> Found | None:
    """Return what `find` returns for a pushed blob, or None if it may come from an upstream.

    Raise `OCIError` 404 if the blob is corrupt and must be pushed again.
    """
    repository = request.repository
    if repository is None or digest not in repository.links:
        return None
    found = find(digest)
    if (
        found is None
        and not _can_be_fetched_again(request)
        and (why := request.store.integrity.why_missing(digest))
    ):
        raise _unknown(request, why)
    return found


def _can_be_fetched_again(request: RegistryRequest) -> bool:
    """Return whether the blob also came from an upstream that may be contacted."""
    if request.route is None or request.route.no_contact_reason:
        return False
    cached = request.store.index.repository(request.route.key)
    return cached is not None and request.target.digest in cached.links


def _head_from_upstream(request: RegistryRequest, route: Route) -> Awaitable[Response]:
    """Respond to HEAD for a blob that is not stored here.

    Before each push, clients send HEAD for all their blobs. If no stored manifest mentions a blob, the
    upstream is not contacted, because the client is about to push the blob.
    """
    digest = request.target.digest
    repositories = request.store.index.present(request.proxy.naming.places(request.target))
    if not any(digest in repository.links or repository.names(digest) for repository in repositories):
        raise _unknown(request)
    return _head_of_mentioned(request, route)


async def _head_of_mentioned(request: RegistryRequest, route: Route) -> Response:
    digest = request.target.digest
    size = await request.unless_gone(request.proxy.blobs.size(route, digest, request.trace))
    return _found(digest, size)


async def _get_from_upstream(request: RegistryRequest, route: Route) -> Response:
    digest = request.target.digest
    opening = request.proxy.blobs.open(route, digest, request.trace)
    content = await request.unless_gone(request.resources.enter_async_context(opening))
    size = content.size
    needs_size = range_of(request, digest) is not None and not request.has_content(digest)
    if size is None and needs_size and isinstance(content, BlobDownload):
        size = await request.unless_gone(content.whole_size())
    return _response(request, content, size)


def _found(digest: Digest, size: int | None) -> Response:
    """Return the response to HEAD for an existing blob."""
    return ready_response(200, _headers(digest, (), size), None)


def _response(
    request: RegistryRequest, content: BlobFile | Content | BlobDownload, size: int | None
) -> Response:
    digest = request.target.digest
    if request.has_content(digest):
        return ready_response(304, _headers(digest))
    begin, end, status = 0, size, 200
    interval = None if size is None else parse_range(range_of(request, digest), size)
    content_range: tuple[tuple[str, str], ...] = ()
    if interval is not None:
        begin, end = interval
        status = 206
        content_range = _content_range(interval, size)
    headers = _headers(digest, content_range, None if end is None else end - begin)
    if request.method == "HEAD" or begin == end:
        return ready_response(status, headers, None)
    return StreamedResponse(status, headers, _parts(request, content, begin, end))


def _partial(digest: Digest, interval: tuple[int, int], size: int, parts: Parts) -> Response:
    """Return the response with a range that comes from the object store."""
    begin, end = interval
    return StreamedResponse(206, _headers(digest, _content_range(interval, size), end - begin), parts)


def _content_range(interval: tuple[int, int], size: int | None) -> Pairs:
    begin, end = interval
    return (("content-range", f"bytes {begin}-{end - 1}/{size}"),)


async def _parts(
    request: RegistryRequest, content: BlobFile | Content | BlobDownload, begin: int, end: int | None
) -> Parts:
    """Yield the body from `begin` to `end`, or to the end of the content if `end` is None."""
    if isinstance(content, BlobDownload):
        async with aclosing(content.pieces(begin, end, request.disconnected)) as pieces:
            async for piece in pieces:
                yield piece
        return
    end = content.size if end is None else end
    if isinstance(content, BlobFile):
        yield Piece(content, begin, end - begin)
        return
    while begin < end:
        chunk = content.read(begin, min(await request.room(), end - begin))
        begin += len(chunk)
        yield chunk


@lru_cache(_CACHED)
def _headers(digest: Digest, content_range: Pairs = (), length: int | None = None) -> Pairs:
    return (
        ("content-type", OCTET_STREAM),
        ("docker-content-digest", digest),
        ("accept-ranges", "bytes"),
        ("etag", entity_tag(digest)),
        # The content of a digest never changes.
        ("cache-control", "max-age=31536000, immutable"),
        *content_range,
        *(() if length is None else (("content-length", str(length)),)),
    )


def _unknown(request: RegistryRequest, why: str = "") -> OCIError:
    return OCIError(
        404,
        ErrorCode.BLOB_UNKNOWN,
        f"{request.target.name} has no such blob" + (f": {why}" if why else ""),
        detail={"digest": request.target.reference},
    )
