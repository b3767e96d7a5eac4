"""Fetches one blob with several requests, each of which continues where the last was cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.oci.digests import Digest
from brokenreg.oci.plurals import counted
from brokenreg.proxy.client import Tell, UpstreamClient
from brokenreg.proxy.download import Download, download
from brokenreg.proxy.errors import UpstreamContentError, UpstreamError, UpstreamUnreachableError
from brokenreg.proxy.route import Route

_MOST_FRUITLESS = 5
"""Number of consecutive requests without progress after which the download fails."""

_LITTLE = 64 * 1024
_PAUSE = 0.05
"""Seconds before the next request, if the last one brought only a little."""


class Resumption:
    """Fetches a blob from `offset` on with as many requests as necessary, if they make progress.

    `size` is the size of the whole blob, or None while it is unknown. `tell` gets lines for a timeline.
    """

    def __init__(
        self,
        client: UpstreamClient,
        route: Route,
        digest: Digest,
        tell: Tell,
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
        if not error.may_pass or self._fruitless == _MOST_FRUITLESS:
            raise error
        self._tell(f"goes on at byte {offset}: {error.message}")
        if is_little:
            await asyncio.sleep(_PAUSE)

    def wrong(self, received: Digest, size: int) -> UpstreamContentError:
        """Return the error for `size` bytes whose digest is not the blob's."""
        changed = "; its ETag changed meanwhile" if self._is_another else ""
        return UpstreamContentError(
            f"{self.source} sent {counted(size, 'byte')} with the digest {received} "
            f"for blob {self._digest}{changed}"
        )
