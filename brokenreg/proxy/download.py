"""The bytes of one blob, asked of its upstream from any offset on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode
from brokenreg.oci.printable import printable
from brokenreg.proxy.answers import refusal
from brokenreg.proxy.body_source import BodySource
from brokenreg.proxy.client import Tell, UpstreamClient, UpstreamResponse
from brokenreg.proxy.errors import UpstreamContentError
from brokenreg.proxy.route import Route

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
    client: UpstreamClient, route: Route, digest: Digest, offset: int, tell: Tell
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
