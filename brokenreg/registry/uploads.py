"""Upload sessions: POST starts one, PATCH and PUT send the blob, GET returns the progress, DELETE cancels."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext

from brokenreg.bulk.pipeline import writer_slot
from brokenreg.http.asgi import ClientDisconnectedError
from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import ALGORITHMS, Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.request import RegistryRequest
from brokenreg.registry.responses import Response, ready_response
from brokenreg.storage.uploads.upload_session import UploadSession
from brokenreg.traffic.recorder import RecordedBody

_CHUNK = 256 * 1024
_LONG = 1024 * 1024
"""Minimum size of a body that a thread reads, in bytes."""

_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]+|\*))?")
"""The Content-Range of an upload (distribution-spec), with or without the unit and length of RFC 9110."""


async def start_upload(request: RegistryRequest) -> Response:
    """POST `/v2/<name>/blobs/uploads/`: mount a blob, store a whole one (`?digest=`), or start a session."""
    request.check_writable()
    mount, digest = request.parameter("mount"), request.parameter("digest")
    if digest is not None and mount is None:
        return await _post_whole(request, Digest.parse(digest))
    if mount is not None and await _mount(request, Digest.parse(mount)):
        return _created(request, Digest(mount))
    algorithm = request.parameter("digest-algorithm") or "sha256"
    if algorithm not in ALGORITHMS:
        raise OCIError(
            400,
            ErrorCode.DIGEST_INVALID,
            f'invalid digest-algorithm "{algorithm[:50]}": use sha256 or sha512',
        )
    if request.disconnected.is_set():  # nobody would ever know the id of the session
        raise ClientDisconnectedError
    upload_id = await request.store.uploads.start(request.key, algorithm)
    return ready_response(202, _progress(request, upload_id, 0))


async def patch_upload(request: RegistryRequest) -> Response:
    """PATCH: append a chunk (with Content-Range) or a stream (without)."""
    request.check_writable()
    with request.store.uploads.find(request.key, request.target.reference) as upload:
        await _append(request, upload)
        return ready_response(202, _progress(request, upload.row.id, upload.offset))


async def put_upload(request: RegistryRequest) -> Response:
    """PUT `?digest=`: append the last chunk, if any, and end the session."""
    request.check_writable()
    digest = request.parameter("digest")
    if digest is None:
        raise OCIError(
            400, ErrorCode.DIGEST_INVALID, "missing digest: to end an upload, PUT needs ?digest=<digest>"
        )
    parsed = Digest.parse(digest)
    with request.store.uploads.find(request.key, request.target.reference) as upload:
        start = upload.offset
        await _append(request, upload)
        await request.store.uploads.finish(upload, parsed, undo_to=start)
    return _created(request, parsed)


def get_upload(request: RegistryRequest) -> Response:
    """GET: return how much of the blob the session has received."""
    upload = request.store.uploads.find(request.key, request.target.reference)
    return ready_response(204, _progress(request, upload.row.id, upload.received))


async def cancel_upload(request: RegistryRequest) -> Response:
    """DELETE: cancel a session."""
    request.check_writable()
    with request.store.uploads.find(request.key, request.target.reference) as upload:
        await request.store.uploads.cancel(upload)
    return ready_response(204)


async def _mount(request: RegistryRequest, digest: Digest) -> bool:
    """Link a blob of the repository `from`, or of any repository without `from`. Return False without one.

    Each namespace is a separate registry. Therefore a blob of another namespace is never mounted.
    """
    source = request.parameter("from")
    index, namespace = request.store.index, request.target.namespace
    if source is None:
        candidates = [found for (own, _), found in index.repositories.items() if own == namespace]
    else:
        target = request.target.with_name(source)
        if target.namespace != namespace:
            return False
        blob = await request.images.blob(target.repository, digest, request.trace)
        if blob is not None:
            return await _mount_fabricated(request, digest, blob)
        candidates = index.present(request.proxy.naming.places(target))
    if not any(digest in candidate.links for candidate in candidates):
        return False
    return await request.store.link(request.key, digest)


async def _mount_fabricated(request: RegistryRequest, digest: Digest, blob: Content) -> bool:
    """Store a fabricated blob like a pushed one, so that the repository does not depend on the recipe."""
    if not await request.store.link(request.key, digest):
        request.store.room.check(blob.size)
        chunks = _chunks_of(blob, request.disconnected)
        await _store_whole(request, digest, lambda upload: upload.append(chunks))
    return True


async def _chunks_of(blob: Content, disconnected: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the bytes of a fabricated blob. Raise `ClientDisconnectedError` if the client disconnects."""
    offset = 0
    while offset < blob.size:
        if disconnected.is_set():
            raise ClientDisconnectedError
        chunk = blob.read(offset, _CHUNK)
        offset += len(chunk)
        yield chunk
        await asyncio.sleep(0)  # let other tasks run


async def _post_whole(request: RegistryRequest, digest: Digest) -> Response:
    _check_room(request)
    await _store_whole(request, digest, lambda upload: _receive(request, upload))
    return _created(request, digest)


async def _store_whole(
    request: RegistryRequest, digest: Digest, append: Callable[[UploadSession], Awaitable[None]]
) -> None:
    """Store a blob in one session that is not visible to other requests."""
    upload = request.store.uploads.start_unlisted(request.key, digest.algorithm)
    with upload:
        try:
            await append(upload)
            await request.store.uploads.finish(upload, digest)
        except BaseException:
            await request.store.uploads.cancel(upload)
            raise


async def _append(request: RegistryRequest, upload: UploadSession) -> None:
    """Append the body. Raise `OCIError` 416 if its Content-Range does not begin at the session's offset."""
    expected = None
    content_range = request.header("content-range")
    if content_range is not None:
        first, expected = _content_range(content_range)
        if first != upload.offset:
            raise OCIError(
                416,
                ErrorCode.RANGE_INVALID,
                f"invalid Content-Range: the chunk begins at {first}, but the session is at {upload.offset}",
                headers=_progress(request, upload.row.id, upload.offset),
            )
    _check_room(request)
    await _receive(request, upload, expected)


async def _receive(request: RegistryRequest, upload: UploadSession, expected: int | None = None) -> None:
    """Append the body. If it is long and a writer slot is free, a thread reads it."""
    is_long = (request.body.declared or 0) >= _LONG
    with writer_slot() if is_long else nullcontext(False) as is_free:
        async with request.lent_body() if is_free else nullcontext() as body:
            if body is None:
                await upload.append(request.body.chunks(expected))
            else:
                await upload.all_or_nothing(_receive_lent(request, upload, body, expected))


async def _receive_lent(
    request: RegistryRequest, upload: UploadSession, body: RecordedBody, expected: int | None
) -> None:
    await upload.grow_from(body.source, body.note_progress)
    request.body.received = body.source.received
    request.body.check(expected)


def _check_room(request: RegistryRequest) -> None:
    """Raise `OSError` EDQUOT if there is no room for the body, before cached blobs are removed in vain."""
    request.store.room.check(request.body.declared or 0)


def _content_range(value: str) -> tuple[int, int]:
    """Return the first byte and the length of an upload's Content-Range, `<first>-<last>`.

    Raise `OCIError` 400 BLOB_UPLOAD_INVALID if it has another form.
    """
    match = _CONTENT_RANGE.fullmatch(value.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise OCIError(
            400,
            ErrorCode.BLOB_UPLOAD_INVALID,
            f'invalid Content-Range "{value[:100]}": use <first>-<last>, counted from 0, both included',
        )
    return int(match[1]), int(match[2]) - int(match[1]) + 1


def _progress(request: RegistryRequest, upload_id: str, offset: int) -> dict[str, str]:
    """Return the headers with the URL and the progress of a session.

    An empty session has the range `0-0`, as in Docker's registry.
    """
    return {
        "location": request.location("blobs/uploads", upload_id),
        "range": f"0-{max(0, offset - 1)}",
        "docker-upload-uuid": upload_id,
    }


def _created(request: RegistryRequest, digest: Digest) -> Response:
    headers = {
        "location": request.location("blobs", digest),
        "docker-content-digest": str(digest),
    }
    return ready_response(201, headers)
