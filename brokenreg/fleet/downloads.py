"""Reads the blobs that other replicas download from upstreams, and lets others read those of this one.

The replica that reads verifies the digest itself. So it trusts neither the bytes nor the end of a response.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode

from brokenreg.fleet.calls import Calls
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.errors import ReplicaEndedError, ReplicaError
from brokenreg.http.asgi import ZERO_COPY, ClientDisconnectedError, Scope, Send
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.proxy.cache.download import BlobResponse
from brokenreg.proxy.cache.turns import DownloadLostError
from brokenreg.registry.responses import StreamedResponse, as_oci_error, respond_error, send_parts
from brokenreg.storage.blob_download import BlobDownload
from brokenreg.storage.errors import StorageError
from brokenreg.storage.records import RepositoryKey
from brokenreg.wire.stream import stream_of

DOWNLOADS = "/fleet/downloads"
"""The path of the downloads. The query says of which blob, and where to begin."""

PATIENCE = 10.0
"""Seconds without a byte after which a response is given up. The next one begins where it ended."""

_OFFSET = re.compile(r"[0-9]{1,19}")

Running = Callable[[RepositoryKey, Digest], BlobDownload | None]
"""Returns the running download of a blob for that repository of the cache, or None."""


class DownloadCalls:
    """Reads the downloads of other replicas."""

    def __init__(self, directory: Directory, calls: Calls) -> None:
        self._directory = directory
        self._calls = calls

    @asynccontextmanager
    async def open(
        self, replica: str, key: RepositoryKey, digest: Digest, offset: int
    ) -> AsyncIterator[BlobResponse]:
        """Read a blob from `offset` on. Raise `DownloadLostError`. The chunks raise it too."""
        query = {"namespace": key[0], "repository": key[1], "digest": digest, "offset": offset}
        target = f"{DOWNLOADS}?{urlencode(query)}"
        try:
            async with self._calls.stream(
                await self._find(replica), "GET", target, patience=PATIENCE
            ) as response:
                if response.status_code != 200:
                    raise DownloadLostError(f"replica {replica} does not download {digest}")
                left = response.headers.get("content-length")
                size = None if left is None else offset + int(left)
                yield BlobResponse.of(f"replica {replica}", size, response.aiter_raw())
        except ReplicaError as error:
            has_ended = isinstance(error, ReplicaEndedError)
            raise DownloadLostError(str(error), has_ended=has_ended) from error

    async def _find(self, name: str) -> Replica:
        """Return a live replica. Raise `DownloadLostError`."""
        try:
            replica = await self._directory.find(name)
        except StorageError as error:
            raise DownloadLostError(str(error)) from error
        if replica is None:
            raise DownloadLostError(f"replica {name} has ended")
        return replica


async def serve_download(running: Running, scope: Scope, send: Send) -> None:
    """Send another replica what has arrived of a blob, and the rest while it arrives.

    As for clients, the last byte follows after the digest was verified, and a failure cuts the response.
    """
    stream = stream_of(scope)
    try:
        download, offset = _wanted(running, scope)
        with download.reading():
            await stream.unless_gone(download.begun())
            left = None if download.size is None else max(0, download.size - offset)
            headers = () if left is None else (("content-length", str(left)),)
            parts = download.pieces(offset, None, stream.gone)
            await _send(scope, send, StreamedResponse(200, headers, parts))
    except OCIError as error:
        await respond_error(send, error)


async def _send(scope: Scope, send: Send, response: StreamedResponse) -> None:
    """Send a response, or cut it if it fails."""
    stream = stream_of(scope)
    try:
        await send_parts(send, response, stream.room, zero_copy=ZERO_COPY in scope["extensions"])
    except ClientDisconnectedError:
        raise
    except Exception as error:  # noqa: BLE001 - the response must not look complete
        as_oci_error(error)  # logs what is unexpected
        stream.abort()


def _wanted(running: Running, scope: Scope) -> tuple[BlobDownload, int]:
    """Return the download that a call is for, and the offset. Raise `OCIError`."""
    query = dict(parse_qsl(scope["query_string"].decode("ascii")))
    key = query.get("namespace", ""), query.get("repository", "")
    digest = Digest.parse(query.get("digest", ""))
    download, offset = running(key, digest), query.get("offset", "")
    if download is None:
        raise OCIError(404, ErrorCode.BLOB_UNKNOWN, f"this replica does not download {digest}")
    if not _OFFSET.fullmatch(offset):
        raise OCIError(400, ErrorCode.UNSUPPORTED, "this call has no valid offset")
    return download, int(offset)
