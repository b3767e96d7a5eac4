"""Blobs: GET and HEAD with ranges (plain ASGI, for they are heavy), DELETE."""

from __future__ import annotations

import time

from quart import Response

from brokenreg.images.fabricator import FabricatedBlob
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCTET_STREAM
from brokenreg.registry.call import Call, StreamCall
from brokenreg.registry.conditions import entity_tag, is_known, range_applies
from brokenreg.registry.ranges import parse_range
from brokenreg.registry.responses import respond, start
from brokenreg.storage.blobs import BlobFile
from brokenreg.wire.asgi import ZERO_COPY

_CHUNK = 256 * 1024
_FILE_PART = 16 * 1024 * 1024


async def get_blob(call: StreamCall) -> None:
    """GET and HEAD `/v2/<name>/blobs/<digest>`."""
    blob = _find(call)
    try:
        await _serve(call, blob)
    finally:
        if isinstance(blob, BlobFile):
            blob.close()


async def delete_blob(call: Call) -> Response:
    """DELETE `/v2/<name>/blobs/<digest>`: the repository's link; the bytes go when nobody refers to them."""
    call.check_writable()
    if not await call.store.index.unlink_blobs(call.key, [call.target.digest]):
        raise _unknown(call)
    return Response(status=202)


def _find(call: Call) -> BlobFile | FabricatedBlob:
    blob: BlobFile | FabricatedBlob | None = None
    if call.is_fabricated:
        blob = call.images.blob(call.target.repository, call.target.digest)
    elif call.repository is not None and call.target.digest in call.repository.links:
        blob = call.store.blobs.open(call.target.digest)
        if blob is not None:
            call.store.index.touch_link(call.key, call.target.digest, time.time())
    if blob is None:
        raise _unknown(call)
    return blob


async def _serve(call: StreamCall, blob: BlobFile | FabricatedBlob) -> None:
    digest = call.target.digest
    headers = {
        "content-type": OCTET_STREAM,
        "docker-content-digest": digest,
        "accept-ranges": "bytes",
        "etag": entity_tag(digest),
        # A digest names its content for ever.
        "cache-control": "max-age=31536000, immutable",
    }
    if is_known(call, digest):
        await respond(call.send, 304, headers)
        return
    begin, end, status = 0, blob.size, 200
    if range_applies(call, digest):
        interval = parse_range(call.header("range"), blob.size)
        if interval is not None:
            begin, end = interval
            status = 206
            headers["content-range"] = f"bytes {begin}-{end - 1}/{blob.size}"
    headers["content-length"] = str(end - begin)
    if call.method == "HEAD" or begin == end:
        await respond(call.send, status, headers)
        return
    await start(call.send, status, headers)
    await _stream(call, blob, begin, end)


async def _stream(call: StreamCall, blob: BlobFile | FabricatedBlob, begin: int, end: int) -> None:
    if isinstance(blob, BlobFile) and ZERO_COPY in call.scope["extensions"]:
        await _send_file(call, blob, begin, end)
        return
    while begin < end:
        chunk = await _read(blob, begin, min(_CHUNK, end - begin))
        if not chunk:
            raise OSError(f"the file of {call.target.digest} is shorter than it was")
        begin += len(chunk)
        await call.send({"type": "http.response.body", "body": chunk, "more_body": begin < end})


async def _send_file(call: StreamCall, blob: BlobFile, begin: int, end: int) -> None:
    """Part by part, so that the log shows how far it is."""
    for offset in range(begin, end, _FILE_PART):
        count = min(_FILE_PART, end - offset)
        piece = {"type": ZERO_COPY, "file": blob.file, "offset": offset, "count": count, "more_body": True}
        await call.send(piece)
    await call.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read(blob: BlobFile | FabricatedBlob, offset: int, length: int) -> bytes:
    return await blob.read(offset, length) if isinstance(blob, BlobFile) else blob.read(offset, length)


def _unknown(call: Call) -> OCIError:
    return OCIError(
        404,
        ErrorCode.BLOB_UNKNOWN,
        f"{call.target.name} has no such blob",
        detail={"digest": call.target.reference},
    )
