"""Responses of the registry: creates them for content and errors, and sends them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from brokenreg.http.asgi import ZERO_COPY, EncodedHeaders, ReadyResponse, Send, complete
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.storage.blob_download import Piece
from brokenreg.storage.errors import ObjectStoreError, error_for_client

logger = logging.getLogger(__name__)

Headers = Mapping[str, str] | Sequence[tuple[str, str]]
Parts = AsyncGenerator[bytes | Piece, None]
"""The parts of a body: bytes, or pieces of a file."""

Room = Callable[[], Awaitable[int]]
"""Returns how many bytes of a body can be sent now (`Stream.room`)."""

_CACHED = 1024
"""Maximum number of lists of headers whose encoded form is cached."""

_API_VERSION = ("docker-distribution-api-version", "registry/2.0")
_PART_SIZES = (128 * 1024, 1024 * 1024, 4 * 1024 * 1024)
"""Number of bytes of a file that are sent in one message: the minimum, the first and the maximum."""

_PART_SECONDS = 0.05
"""Seconds that one such message should take. Between two, the log is updated and the gate can hold."""


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """A response whose body is sent in parts as these become available."""

    status: int
    headers: Headers
    parts: Parts


Response = ReadyResponse | StreamedResponse
"""The response that an endpoint returns."""


def ready_response(status: int, headers: Headers = (), body: bytes | None = b"") -> ReadyResponse:
    """Return a response whose body is in memory.

    It gets a Content-Length if `headers` have none. If `body` is None, it has neither a body nor a length.
    """
    length = None if body is None else len(body)
    if isinstance(headers, tuple):  # the same for many requests
        return ReadyResponse(status, _encoded_headers(headers, status, length), body or b"")
    given = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    return ReadyResponse(status, _encoded(_headers_sent(given, status, length)), body or b"")


def entity_tag(digest: Digest) -> str:
    """Return the strong entity tag of content: its digest."""
    return f'"{digest}"'


def json_response(document: Any, headers: Mapping[str, str] | None = None) -> ReadyResponse:
    """Return a response with a JSON document."""
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return ready_response(200, (("content-type", "application/json"), *(headers or {}).items()), body)


def error_response(error: OCIError) -> ReadyResponse:
    """Return the response for an error, in OCI form. No other code creates responses from errors."""
    return ready_response(error.status, {"content-type": "application/json", **error.headers}, error.body())


def as_oci_error(error: Exception) -> OCIError:
    """Return the error that the client gets for an exception. Log unexpected ones."""
    if isinstance(error, OCIError):
        reported = error
    elif (stored := error_for_client(error)) is not None:
        reported = stored
        if reported.status == 500 or isinstance(error, ObjectStoreError):
            logger.error("request failed: %s", reported.message)
    else:
        logger.error("request failed", exc_info=error)
        reported = OCIError(500, ErrorCode.UNKNOWN, "internal error; see the server's diagnostics")
    forget_frames(error)
    return reported


def forget_frames(error: BaseException | None) -> None:
    """Remove the references from an error and its causes to the frames that raised them.

    Some frames refer to the failed task, and therefore to the error. This reference cycle would keep large
    bodies until a full garbage collection.
    """
    while error is not None and error.__traceback__ is not None:  # a chain can lead back to its beginning
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


async def respond_error(send: Send, error: OCIError) -> None:
    """Send the response for an error."""
    await complete(error_response(error), send)


async def send_parts(send: Send, response: StreamedResponse, room: Room, *, zero_copy: bool) -> None:
    """Send a response with the parts of its body.

    With `zero_copy`, the wire sends pieces of files. Otherwise they are read when there is `room` for them.
    """
    given = tuple(response.headers.items() if isinstance(response.headers, Mapping) else response.headers)
    headers = list(_encoded(_headers_sent(given, response.status, None)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    async with aclosing(response.parts) as parts:
        async for part in parts:
            if isinstance(part, bytes):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            elif zero_copy:
                await _send_file(send, part)
            else:
                await _send_chunks(send, part, room)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers_sent(
    given: tuple[tuple[str, str], ...], status: int, length: int | None
) -> list[tuple[str, str]]:
    """Return the headers to send.

    A 304 describes a body that it does not have (RFC 9110, 15.4.5), so its type and length are omitted.
    """
    headers = [_API_VERSION, *given]
    if status == 304:
        return [header for header in headers if header[0] != "content-type"]
    if length is not None and all(name != "content-length" for name, _ in headers):
        headers.append(("content-length", str(length)))
    return headers


@lru_cache(_CACHED)
def _encoded_headers(given: tuple[tuple[str, str], ...], status: int, length: int | None) -> EncodedHeaders:
    return _encoded(_headers_sent(given, status, length))


def _encoded(headers: list[tuple[str, str]]) -> EncodedHeaders:
    return tuple([(name.encode("ascii"), value.encode("latin-1")) for name, value in headers])


async def _send_file(send: Send, piece: Piece) -> None:
    """Send a piece of a file in messages whose size depends on the speed of the client."""
    least, size, most = _PART_SIZES
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
        await send(part)
        pace = count / max(1e-6, time.perf_counter() - began)
        size = min(most, max(least, int(pace * _PART_SECONDS)))
        offset += count


async def _send_chunks(send: Send, piece: Piece, room: Room) -> None:
    """Send a piece of a file as bytes. Raise `OSError` if the file has become shorter."""
    offset, end = piece.offset, piece.offset + piece.count
    while offset < end:
        chunk = await piece.file.read(offset, min(await room(), end - offset))
        if not chunk:
            raise OSError(f"{piece.file.file.name} became shorter while it was sent")
        offset += len(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
