"""Uploads: POST, PATCH and PUT (plain ASGI, for their bodies are heavy), status GET and DELETE."""

from __future__ import annotations

from quart import Response

from brokenreg.oci.digests import ALGORITHMS, Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.call import Call, StreamCall
from brokenreg.registry.ranges import parse_content_range
from brokenreg.registry.responses import respond
from brokenreg.storage.session import Upload


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
        await respond(call.send, 202, _progress(call, upload.row.id, upload.offset))


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
    return Response(status=204, headers=_progress(call, upload.row.id, upload.received))


async def delete_upload(call: Call) -> Response:
    """DELETE: cancel a session."""
    call.check_writable()
    with call.store.uploads.find(call.key, call.target.reference) as upload:
        await call.store.uploads.cancel(upload)
    return Response(status=204)


async def _mount(call: Call, digest: Digest) -> bool:
    """Link a blob that another repository has: the one told, else any of the namespace. False if none has."""
    source = call.parameter("from")
    index = call.store.index
    if source is not None:
        candidates = index.present(call.proxy.naming.places(call.target.beside(source)))
    else:
        candidates = [
            repository
            for (namespace, _), repository in index.repositories.items()
            if namespace == call.target.namespace
        ]
    if not any(digest in candidate.links for candidate in candidates):
        return False
    return await call.store.link(call.key, digest)


async def _post_whole(call: StreamCall, digest: Digest) -> None:
    _check_room(call)
    upload = call.store.uploads.start_unlisted(call.key, digest.algorithm)
    with upload:
        try:
            await upload.append(call.body.chunks())
        except BaseException:
            await call.store.uploads.cancel(upload)
            raise
        await call.store.uploads.finish(upload, digest)
    await _created(call, digest)


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
