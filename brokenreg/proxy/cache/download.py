"""Downloads a blob from any offset, with several requests if necessary, even if the disk is full."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode
from brokenreg.proxy.cache.fill_limits import FillLimit
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamUnreachableError
from brokenreg.proxy.http.statuses import status_error
from brokenreg.proxy.http.upstreams import Upstreams
from brokenreg.proxy.routes import Route
from brokenreg.storage.blob_download import Overflow
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import DownloadResumed
from brokenreg.wording import counted, printable

if TYPE_CHECKING:
    from brokenreg.proxy.http.bodies import BodySource
    from brokenreg.proxy.http.client import UpstreamResponse

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:([0-9]{1,19})|\*)")


@dataclass(frozen=True, slots=True)
class BlobResponse:
    """The response to a request for a blob, from the requested offset on."""

    source: str
    """The name of the server that responded: the upstream, or a redirect target."""
    size: int | None
    """The size of the whole blob, in bytes, or None if the upstream does not say."""
    chunks: AsyncIterator[bytes]
    remaining_body: Callable[[], BodySource | None]
    """Returns the body after the first chunk for a thread, or None. Do not read more chunks afterwards."""
    etag: str | None
    is_encoded: bool
    """Whether it has a Content-Encoding, so that its bytes may differ from the blob's."""

    @classmethod
    def of(cls, source: str, size: int | None, chunks: AsyncIterator[bytes]) -> BlobResponse:
        """Return a response that does not come from an upstream."""
        return cls(source, size, chunks, lambda: None, None, is_encoded=False)

    async def first(self) -> AsyncIterator[bytes]:
        """Yield the first chunk, if any."""
        async for chunk in self.chunks:
            yield chunk
            return


@asynccontextmanager
async def request_blob(
    client: Upstreams, route: Route, digest: Digest, offset: int, add_event: AddEvent
) -> AsyncIterator[BlobResponse]:
    """Request a blob from `offset` on, and skip earlier bytes if the upstream sends them.

    Raise `UpstreamError`. The chunks raise it too.
    """
    headers = {"range": f"bytes={offset}-"} if offset else {}
    async with client.request(
        route, "GET", f"blobs/{digest}", headers=headers, add_event=add_event
    ) as response:
        if response.status == 206 and offset:
            begin, size = _range(response, offset)
        elif response.status == 200:
            begin, size = 0, response.length
        elif response.status == 416 and response.header("content-range") == f"bytes */{offset}":
            begin, size = offset, offset  # the blob ends at `offset`; its size was unknown until now
        else:
            raise await status_error(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        has_body = response.status != 416
        yield BlobResponse(
            response.source_with_encoding,
            size,
            _without_first(offset - begin, response.chunks() if has_body else _nothing()),
            response.remaining_body if has_body else lambda: None,
            response.header("etag"),
            response.encoding is not None,
        )


def _range(response: UpstreamResponse, offset: int) -> tuple[int, int | None]:
    """Return the offset of a 206's first byte, and the size of the whole blob or None."""
    value = response.header("content-range") or ""
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None or int(match[1]) > offset:
        raise UpstreamContentError(
            f"{response.source} responded with {printable(value)[:100] or 'no range'} "
            f"to a request for a blob from byte {offset} on"
        )
    return int(match[1]), int(match[2]) if match[2] else None


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _without_first(count: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if count >= len(chunk):
            count -= len(chunk)
        else:
            yield chunk[count:] if count else chunk
            count = 0


_MAX_FRUITLESS = 5
"""Number of consecutive requests without progress after which the download fails."""

_LITTLE = 64 * 1024
"""Progress of fewer bytes than this counts as little."""

_PAUSE = 0.05
"""Seconds before the next request after little progress."""


class ResumableDownload:
    """Downloads a blob from `offset` on, with as many requests as necessary while they make progress.

    `size` is the size of the whole blob, or None while it is unknown.
    """

    def __init__(
        self,
        client: Upstreams,
        route: Route,
        digest: Digest,
        add_event: AddEvent,
        offset: int = 0,
        size: int | None = None,
    ) -> None:
        self.size = size
        self.source = route.upstream
        """The name of the server that sent the last response."""
        self._client = client
        self._route = route
        self._digest = digest
        self._add_event = add_event
        self._offset = offset
        self._fruitless = 0
        self._etag: str | None = None
        self._has_changed = False

    def another(self, offset: int) -> ResumableDownload:
        """Return a separate download of the same blob, from `offset` on."""
        return ResumableDownload(self._client, self._route, self._digest, self._add_event, offset, self.size)

    @asynccontextmanager
    async def request(self, offset: int) -> AsyncIterator[BlobResponse]:
        """Request the blob from `offset` on. Raise `UpstreamError`, also if its size has changed."""
        async with request_blob(self._client, self._route, self._digest, offset, self._add_event) as response:
            self.source = response.source
            if self.size is not None and response.size is not None and self.size != response.size:
                raise UpstreamContentError(
                    f"{self.source} changed the size of blob {self._digest} "
                    f"from {self.size} to {counted(response.size, 'byte')} during the download"
                )
            self.size = response.size if self.size is None else self.size
            self._has_changed |= None not in (self._etag, response.etag) and self._etag != response.etag
            self._etag = self._etag or response.etag
            yield response

    async def chunks(self, offset: int) -> AsyncIterator[bytes]:
        """Yield the blob from `offset` on, with as many requests as necessary. Raise `UpstreamError`."""
        while True:
            try:
                async with self.request(offset) as response:
                    async for chunk in response.chunks:
                        offset += len(chunk)
                        yield chunk
                self.check_whole(offset)
            except UpstreamError as error:
                await self.resume(error, offset)
            else:
                return

    def check_whole(self, offset: int) -> None:
        """Raise `UpstreamUnreachableError` if a response ended at `offset`, before the end of the blob."""
        if self.size is not None and offset < self.size:
            raise self.cut_error(offset, self.size)

    def cut_error(self, offset: int, size: int) -> UpstreamUnreachableError:
        """Return the error for a blob that ended at `offset` instead of `size`."""
        return UpstreamUnreachableError(
            f"{self.source} ended blob {self._digest} after {offset} of {counted(size, 'byte')}"
        )

    async def resume(self, error: UpstreamError, offset: int, is_awaited: bool = True) -> None:
        """Wait until the next request, from `offset` on, may be sent. Raise `error` if resuming is useless.

        If no client waits for the blob, little progress counts as none.
        """
        progress = offset - self._offset
        self._offset = offset
        is_little = progress < _LITTLE
        is_fruitless = progress == 0 or (is_little and not is_awaited)
        self._fruitless = self._fruitless + 1 if is_fruitless else 0
        if not error.is_transient or self._fruitless == _MAX_FRUITLESS:
            raise error
        self._add_event(DownloadResumed(offset, error.message))
        if is_little:
            await asyncio.sleep(_PAUSE)

    def digest_error(self, received: Digest, size: int) -> UpstreamContentError:
        """Return the error for `size` bytes whose digest is not the blob's."""
        changed = "; its ETag changed during the download" if self._has_changed else ""
        return UpstreamContentError(
            f"{self.source} sent {counted(size, 'byte')} with the digest {received} "
            f"for blob {self._digest}{changed}"
        )


async def chunks_after(
    overflow: Overflow, download: ResumableDownload, limit: FillLimit, begin: int, end: int | None
) -> AsyncIterator[bytes]:
    """Yield the bytes from `begin` to `end` (None: the end of the blob) that are not in the file.

    The last byte of the blob follows after its digest has been verified. Raise `UpstreamError`.
    """
    hasher = overflow.hasher.copy()
    position, last = overflow.kept, b""
    async for chunk in download.chunks(position):
        hasher.update(chunk)
        data = last + chunk
        if position + len(data) > limit.size:
            raise limit.exceeded(download.source)
        ready, last = data[:-1], data[-1:]
        selected = ready[max(0, begin - position) : None if end is None else max(0, end - position)]
        position += len(ready)
        if selected:
            yield selected
    received = Digest.from_hash(hasher)
    if received != limit.digest:
        raise download.digest_error(received, position + len(last))
    if begin <= position and (end is None or position < end):
        yield last
