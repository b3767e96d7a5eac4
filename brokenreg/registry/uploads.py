"""Uploads: POST, PATCH and PUT (plain ASGI, for their bodies are heavy), status GET and DELETE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from quart import Response

from brokenreg.images.blobs import FabricatedBlob
from brokenreg.oci.digests import ALGORITHMS, Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.call import Call, StreamCall
from brokenreg.registry.ranges import parse_content_range
from brokenreg.registry.responses import empty_response, respond
from brokenreg.storage.session import Upload
from brokenreg.wire.asgi import ClientDisconnectedError

_CHUNK = 256 * 1024


async def post_upload(call: StreamCall) -> None:
    """POST `/v2/<name>/blobs/uploads/`: mount a blob, take one whole (`?digest=`), or begin a session."""
    call.check_writable()
    mount, digest = call.parameter("mount"), call.parameter("digest")
    if digest is not None and mount is None:
        await _post_whole(call, Digest.parse(digest))
        return
    if mount is not None and await _mount(call, Digest.parse(mount)):
        await _created(call, Digest(mount))
        return
    algorithm = call.parameter("digest-algorithm") or "sha256"
    if algorithm not in ALGORITHMS:
        raise OCIError(
            400, ErrorCode.DIGEST_INVALID, f"digest-algorithm {algorithm[:50]!r}: sha256 and sha512 are known"
        )
    upload_id = await call.store.uploads.start(call.key, algorithm)
    await respond(call.send, 202, _progress(call, upload_id, 0))


async def patch_upload(call: StreamCall) -> None:
    """PATCH: append a chunk (with Content-Range) or a stream (without)."""
    call.check_writable()
    with call.store.uploads.find(call.key, call.target.reference) as upload:
        await _append(call, upload)
        progress = _progress(call, upload.row.id, upload.offset)
    # The session is free before the client reads the response, which may be held.
    await respond(call.send, 202, progress)


async def put_upload(call: StreamCall) -> None:
    """PUT `?digest=`: append the last chunk, if there is one, and end the session."""
    call.check_writable()
    digest = call.parameter("digest")
    if digest is None:
        raise OCIError(400, ErrorCode.DIGEST_INVALID, "PUT ends an upload and needs ?digest=<digest>")
    parsed = Digest.parse(digest)
    with call.store.uploads.find(call.key, call.target.reference) as upload:
        await _append(call, upload)
        await call.store.uploads.finish(upload, parsed)
    await _created(call, parsed)


async def get_upload(call: Call) -> Response:
    """GET: how far a session is."""
    upload = call.store.uploads.find(call.key, call.target.reference)
    return empty_response(204, _progress(call, upload.row.id, upload.received))


async def delete_upload(call: Call) -> Response:
    """DELETE: cancel a session."""
    call.check_writable()
    with call.store.uploads.find(call.key, call.target.reference) as upload:
        await call.store.uploads.cancel(upload)
    return empty_response(204)


async def _mount(call: StreamCall, digest: Digest) -> bool:
    """Link a blob of the repository `from`, or without `from` of any repository. False if it is missing.

    Each namespace is a separate registry: a blob of another namespace is never mounted.
    """
    source = call.parameter("from")
    index, namespace = call.store.index, call.target.namespace
    if source is None:
        candidates = [found for (own, _), found in index.repositories.items() if own == namespace]
    else:
        target = call.target.beside(source)
        if target.namespace != namespace:
            return False
        blob = await call.images.blob(target.repository, digest, call.trace)
        if blob is not None:
            return await _mount_fabricated(call, digest, blob)
        candidates = index.present(call.proxy.naming.places(target))
    if not any(digest in candidate.links for candidate in candidates):
        return False
    return await call.store.link(call.key, digest)


async def _mount_fabricated(call: StreamCall, digest: Digest, blob: FabricatedBlob) -> bool:
    """Store a fabricated blob as a pushed one, so that the repository does not depend on the recipe."""
    if not await call.store.link(call.key, digest):
        call.store.room.check(blob.size)
        await _store_whole(call, digest, _chunks_of(blob, call.left))
    return True


async def _chunks_of(blob: FabricatedBlob, left: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the bytes of a fabricated blob. Raise `ClientDisconnectedError` if the client disconnects."""
    offset = 0
    while offset < blob.size:
        if left.is_set():
            raise ClientDisconnectedError
        chunk = blob.read(offset, _CHUNK)
        offset += len(chunk)
        yield chunk
        await asyncio.sleep(0)  # a turn for others


async def _post_whole(call: StreamCall, digest: Digest) -> None:
    _check_room(call)
    await _store_whole(call, digest, call.body.chunks())
    await _created(call, digest)


async def _store_whole(call: Call, digest: Digest, chunks: AsyncIterator[bytes]) -> None:
    """Store a blob in one session that is not visible to other requests."""
    upload = call.store.uploads.start_unlisted(call.key, digest.algorithm)
    with upload:
        try:
            await upload.append(chunks)
        except BaseException:
            await call.store.uploads.cancel(upload)
            raise
        await call.store.uploads.finish(upload, digest)


async def _append(call: StreamCall, upload: Upload) -> None:
    """Append the body. Raise `OCIError` 416 if its Content-Range does not begin where the session is."""
    expected = None
    content_range = call.header("content-range")
    if content_range is not None:
        first, expected = parse_content_range(content_range)
        if first != upload.offset:
            raise OCIError(
                416,
                ErrorCode.RANGE_INVALID,
                f"the chunk begins at {first}, the session is at {upload.offset}",
                headers=_progress(call, upload.row.id, upload.offset),
            )
    _check_room(call)
    await upload.append(call.body.chunks(expected))


def _check_room(call: StreamCall) -> None:
    """Raise `OSError` EDQUOT for a body for which there can be no room, before anything makes way in vain."""
    call.store.room.check(call.body.declared or 0)


def _progress(call: Call, upload_id: str, offset: int) -> dict[str, str]:
    """Where to go on, and from which byte. An empty session says `0-0`, as Docker's registry does."""
    return {
        "location": call.location("blobs/uploads", upload_id),
        "range": f"0-{max(0, offset - 1)}",
        "docker-upload-uuid": upload_id,
    }


async def _created(call: StreamCall, digest: Digest) -> None:
    headers = {
        "location": call.location("blobs", digest),
        "docker-content-digest": str(digest),
    }
    await respond(call.send, 201, headers)
