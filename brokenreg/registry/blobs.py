"""Blobs: GET and HEAD with ranges (plain ASGI, for they are heavy), DELETE."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from quart import Response

from brokenreg.images.blobs import FabricatedBlob
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCTET_STREAM
from brokenreg.proxy.cache.fill import Fill, Piece
from brokenreg.proxy.routes import Route
from brokenreg.registry.call import Call, StreamCall
from brokenreg.registry.conditions import entity_tag, is_known, range_applies
from brokenreg.registry.ranges import parse_range
from brokenreg.registry.responses import empty_response, respond, respond_head, start
from brokenreg.storage.blobs import BlobFile
from brokenreg.wire.asgi import ZERO_COPY

Content = BlobFile | FabricatedBlob | Fill

_CHUNK = 256 * 1024
_PARTS = (128 * 1024, 1024 * 1024, 4 * 1024 * 1024)
"""Bytes sent from kernel to kernel at a time: at least, at first, at most."""

_PART_SECONDS = 0.05
"""How long that shall take: the log shows how far it is then, and there it can be held."""


async def get_blob(call: StreamCall) -> None:
    """GET and HEAD `/v2/<name>/blobs/<digest>`."""
    async with AsyncExitStack() as stack:
        content: Content | None = await _here(call)
        if isinstance(content, BlobFile):
            stack.enter_context(content)
        elif content is None:
            if call.route is None:
                raise _unknown(call)
            if call.method == "HEAD":
                await _tell_size(call, call.route)
                return
            opening = call.proxy.blobs.open(call.route, call.target.digest, call.trace)
            content = await call.unless_gone(stack.enter_async_context(opening))
        await _serve(call, content)


async def delete_blob(call: Call) -> Response:
    """DELETE `/v2/<name>/blobs/<digest>`: the repository's link; the bytes go when nobody refers to them."""
    call.check_writable()
    if not await call.store.index.unlink_blobs(call.key, [call.target.digest]):
        raise _unknown(call)
    return empty_response(202)


async def _here(call: StreamCall) -> BlobFile | FabricatedBlob | None:
    """What is here without any upstream."""
    if call.is_fabricated:
        finding = call.images.blob(call.target.repository, call.target.digest, call.trace)
        blob = await call.unless_gone_or_known(finding)
        if blob is None:
            raise _unknown(call)
        return blob
    if call.repository is None or call.target.digest not in call.repository.links:
        return None
    file = call.store.integrity.open(call.target.digest)
    if file is not None:
        call.store.index.touch_link(call.key, call.target.digest, time.time())
    elif call.store.integrity.is_quarantined(call.target.digest) and not _came_from_upstream(call):
        raise _unknown(call, "it was corrupt on disk and is not served any more; push it again")
    return file


def _came_from_upstream(call: StreamCall) -> bool:
    """Return whether the blob also came from an upstream that may be contacted, to fetch it again."""
    if call.route is None or call.route.no_contact_reason:
        return False
    cached = call.store.index.repository(call.route.key)
    return cached is not None and call.target.digest in cached.links


async def _tell_size(call: StreamCall, route: Route) -> None:
    """HEAD of a blob that is not here.

    Clients ask before every push for each blob that they have: one that no manifest names which was seen
    here is theirs alone, and nobody upstream is asked for it.
    """
    digest = call.target.digest
    repositories = call.store.index.present(call.proxy.naming.places(call.target))
    if not any(digest in repository.links or repository.names(digest) for repository in repositories):
        raise _unknown(call)
    size = await call.unless_gone(call.proxy.blobs.size(route, digest, call.trace))
    headers = _headers(digest)
    if size is not None:
        headers["content-length"] = str(size)
    await respond_head(call.send, 200, headers)


async def _serve(call: StreamCall, content: Content) -> None:
    digest = call.target.digest
    headers = _headers(digest)
    if is_known(call, digest):
        await respond(call.send, 304, headers)
        return
    size = content.size
    begin, end, status = 0, size, 200
    if range_applies(call, digest):
        if size is None and isinstance(content, Fill) and call.header("range"):
            size = end = await call.unless_gone(content.whole_size())
        interval = None if size is None else parse_range(call.header("range"), size)
        if interval is not None:
            begin, end = interval
            status = 206
            headers["content-range"] = f"bytes {begin}-{end - 1}/{size}"
    if end is not None:
        headers["content-length"] = str(end - begin)
    if call.method == "HEAD" or begin == end:
        await respond_head(call.send, status, headers)
        return
    await start(call.send, status, headers)
    if isinstance(content, Fill):
        await _stream_fill(call, content, begin, end)
    elif end is not None:
        await _stream(call, content, begin, end)


async def _stream(call: StreamCall, blob: BlobFile | FabricatedBlob, begin: int, end: int) -> None:
    if isinstance(blob, BlobFile):
        await _send_piece(call, Piece(blob, begin, end - begin))
    else:
        while begin < end:
            chunk = blob.read(begin, min(_CHUNK, end - begin))
            begin += len(chunk)
            await _send(call, chunk)
    await _end(call)


async def _stream_fill(call: StreamCall, fill: Fill, begin: int, end: int | None) -> None:
    async for piece in fill.pieces(begin, end, call.left):
        if isinstance(piece, Piece):
            await _send_piece(call, piece)
        else:
            await _send(call, piece)
    await _end(call)


async def _send_piece(call: StreamCall, piece: Piece) -> None:
    """From kernel to kernel where that can be, else chunk by chunk."""
    offset, end = piece.offset, piece.offset + piece.count
    if ZERO_COPY in call.scope["extensions"]:
        await _send_file(call, piece)
        return
    while offset < end:
        chunk = await piece.file.read(offset, min(_CHUNK, end - offset))
        if not chunk:
            raise OSError(f"the file of {call.target.digest} is shorter than it was")
        offset += len(chunk)
        await _send(call, chunk)


async def _send_file(call: StreamCall, piece: Piece) -> None:
    """In parts as large as the client's pace makes them."""
    least, size, most = _PARTS
    offset, end = piece.offset, piece.offset + piece.count
    while offset < end:
        count = min(size, end - offset)
        part = {
            "type": ZERO_COPY,
            "file": piece.file.file,
            "offset": offset,
            "count": count,
            "more_body": True,
        }
        began = time.perf_counter()
        await call.send(part)
        pace = count / max(1e-6, time.perf_counter() - began)
        size = min(most, max(least, int(pace * _PART_SECONDS)))
        offset += count


async def _send(call: StreamCall, chunk: bytes) -> None:
    await call.send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _end(call: StreamCall) -> None:
    await call.send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(digest: Digest) -> dict[str, str]:
    return {
        "content-type": OCTET_STREAM,
        "docker-content-digest": digest,
        "accept-ranges": "bytes",
        "etag": entity_tag(digest),
        # A digest names its content for ever.
        "cache-control": "max-age=31536000, immutable",
    }


def _unknown(call: Call, why: str = "") -> OCIError:
    return OCIError(
        404,
        ErrorCode.BLOB_UNKNOWN,
        f"{call.target.name} has no such blob" + (f": {why}" if why else ""),
        detail={"digest": call.target.reference},
    )
