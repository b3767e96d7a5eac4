"""Downloads of one blob: from any offset, over several requests, and past what the disk has room for."""

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
from brokenreg.proxy.http.bodies import BodySource
from brokenreg.proxy.http.client import UpstreamClient, UpstreamResponse
from brokenreg.proxy.http.statuses import refusal
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent, DownloadResumed
from brokenreg.wording import counted, printable

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/(?:([0-9]{1,19})|\*)")


@dataclass(frozen=True, slots=True)
class Download:
    """What comes of a blob: `size` is that of the whole, in bytes, if the upstream tells."""

    source: str
    """Who sends it, as messages call it: the upstream, or what it redirects to."""
    size: int | None
    chunks: AsyncIterator[bytes]
    rest: Callable[[], BodySource | None]
    """What follows the first chunk, for a thread; if there is one, nobody asks for more chunks."""
    etag: str | None
    is_encoded: bool
    """Whether it has a Content-Encoding, so that its bytes may differ from the blob's."""

    async def first(self) -> AsyncIterator[bytes]:
        """The first chunk, if there is any."""
        async for chunk in self.chunks:
            yield chunk
            return


@asynccontextmanager
async def download(
    client: UpstreamClient, route: Route, digest: Digest, offset: int, tell: AddEvent
) -> AsyncIterator[Download]:
    """Request a blob from `offset` on, and skip earlier bytes if the upstream sends them.

    Raise `UpstreamError`, from the chunks too.
    """
    headers = {"range": f"bytes={offset}-"} if offset else {}
    async with client.ask(route, "GET", f"blobs/{digest}", headers=headers, tell=tell) as response:
        if response.status == 206 and offset:
            begin, size = _range(response, offset)
        elif response.status == 200:
            begin, size = 0, response.length
        elif response.status == 416 and response.header("content-range") == f"bytes */{offset}":
            begin, size = offset, offset  # the blob ends at `offset`; its size was unknown until now
        else:
            raise await refusal(route, ErrorCode.BLOB_UNKNOWN, digest, response)
        is_body = response.status != 416
        yield Download(
            response.sender,
            size,
            _without_first(offset - begin, response.chunks() if is_body else _nothing()),
            response.rest if is_body else lambda: None,
            response.header("etag"),
            response.encoding is not None,
        )


def _range(response: UpstreamResponse, offset: int) -> tuple[int, int | None]:
    """Return the position of a 206's first byte, and the size of the whole or None."""
    told = response.header("content-range") or ""
    match = _CONTENT_RANGE.fullmatch(told)
    if match is None or int(match[1]) > offset:
        raise UpstreamContentError(
            f"{response.source} was asked for a blob from byte {offset} on "
            f"and sent {printable(told)[:100] or 'no range'}"
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


_MOST_FRUITLESS = 5
"""Number of consecutive requests without progress after which the download fails."""

_LITTLE = 64 * 1024
_PAUSE = 0.05
"""Seconds before the next request, if the last one brought only a little."""


class Resumption:
    """Fetches a blob from `offset` on with as many requests as necessary, if they make progress.

    `size` is the size of the whole blob, or None while it is unknown. `tell` gets events for a timeline.
    """

    def __init__(
        self,
        client: UpstreamClient,
        route: Route,
        digest: Digest,
        tell: AddEvent,
        offset: int = 0,
        size: int | None = None,
    ) -> None:
        self.size = size
        self.source = route.upstream
        """The sender of the last response, for messages."""
        self._client = client
        self._route = route
        self._digest = digest
        self._tell = tell
        self._offset = offset
        self._fruitless = 0
        self._etag: str | None = None
        self._is_another = False

    def anew(self, offset: int) -> Resumption:
        """Return a separate resumption for the same blob, from `offset` on."""
        return Resumption(self._client, self._route, self._digest, self._tell, offset, self.size)

    @asynccontextmanager
    async def request(self, offset: int) -> AsyncIterator[Download]:
        """Request the blob from `offset` on. Raise `UpstreamError`, also if its size has changed."""
        async with download(self._client, self._route, self._digest, offset, self._tell) as incoming:
            self.source = incoming.source
            if self.size is not None and incoming.size is not None and self.size != incoming.size:
                raise UpstreamContentError(
                    f"{self.source} changed the size of blob {self._digest} "
                    f"from {self.size} to {counted(incoming.size, 'byte')} while it was fetched"
                )
            self.size = incoming.size if self.size is None else self.size
            self._is_another |= None not in (self._etag, incoming.etag) and self._etag != incoming.etag
            self._etag = self._etag or incoming.etag
            yield incoming

    async def chunks(self, offset: int) -> AsyncIterator[bytes]:
        """Yield the blob from `offset` on, with as many requests as necessary. Raise `UpstreamError`."""
        while True:
            try:
                async with self.request(offset) as incoming:
                    async for chunk in incoming.chunks:
                        offset += len(chunk)
                        yield chunk
                self.check_whole(offset)
            except UpstreamError as error:
                await self.go_on(error, offset)
            else:
                return

    def check_whole(self, offset: int) -> None:
        """Raise `UpstreamUnreachableError` if a response ended before the blob does."""
        if self.size is not None and offset < self.size:
            raise self.ended(offset, self.size)

    def ended(self, offset: int, size: int) -> UpstreamUnreachableError:
        """Return the error for a blob that ended at `offset` instead of `size`."""
        return UpstreamUnreachableError(
            f"{self.source} ended blob {self._digest} after {offset} of {counted(size, 'byte')}"
        )

    async def go_on(self, error: UpstreamError, offset: int, is_awaited: bool = True) -> None:
        """Wait until the next request can be sent, from `offset` on. Raise `error` if retrying is useless.

        If no client waits for the blob, little progress counts as none.
        """
        brought = offset - self._offset
        self._offset = offset
        is_little = brought < _LITTLE
        is_fruitless = brought == 0 or (is_little and not is_awaited)
        self._fruitless = self._fruitless + 1 if is_fruitless else 0
        if not error.is_transient or self._fruitless == _MOST_FRUITLESS:
            raise error
        self._tell(DownloadResumed(offset, error.message))
        if is_little:
            await asyncio.sleep(_PAUSE)

    def wrong(self, received: Digest, size: int) -> UpstreamContentError:
        """Return the error for `size` bytes whose digest is not the blob's."""
        changed = "; its ETag changed meanwhile" if self._is_another else ""
        return UpstreamContentError(
            f"{self.source} sent {counted(size, 'byte')} with the digest {received} "
            f"for blob {self._digest}{changed}"
        )


@dataclass(frozen=True, slots=True)
class Overflow:
    """A blob of which the file has only the first `kept` bytes, with their hash."""

    kept: int
    hasher: Hash


async def beyond(
    overflow: Overflow, resumption: Resumption, limit: FillLimit, begin: int, end: int | None
) -> AsyncIterator[bytes]:
    """Yield the bytes from `begin` to `end` (None: the end of the blob) that are not in the file.

    The last byte of the blob follows after its digest has been verified. Raise `UpstreamError`.
    """
    hasher = overflow.hasher.copy()
    position, last = overflow.kept, b""
    async for chunk in resumption.chunks(position):
        hasher.update(chunk)
        data = last + chunk
        if position + len(data) > limit.size:
            raise limit.exceeded(resumption.source)
        ready, last = data[:-1], data[-1:]
        wanted = ready[max(0, begin - position) : None if end is None else max(0, end - position)]
        position += len(ready)
        if wanted:
            yield wanted
    received = Digest.from_hash(hasher)
    if received != limit.digest:
        raise resumption.wrong(received, position + len(last))
    if begin <= position and (end is None or position < end):
        yield last
