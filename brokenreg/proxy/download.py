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

    async def first(self) -> AsyncIterator[bytes]:
        """The first chunk, if there is any."""
        async for chunk in self.chunks:
            yield chunk
            return


@asynccontextmanager
async def download(
    client: UpstreamClient, route: Route, digest: Digest, offset: int, tell: Tell
) -> AsyncIterator[Download]:
    """Ask for a blob from `offset` on; an upstream that knows no ranges sends the whole, and we skip.

    Raise `UpstreamError`, from the chunks too.
    """
    headers = {"range": f"bytes={offset}-"} if offset else {}
    async with client.ask(route, "GET", f"blobs/{digest}", headers=headers, tell=tell) as response:
        if response.status == 206 and offset:
            size = _whole_size(response, offset)
            yield Download(response.source, size, response.chunks(), response.rest)
        elif response.status == 200:
            chunks = _without_first(offset, response.chunks())
            yield Download(response.source, response.length, chunks, response.rest)
        else:
            raise await refusal(route, ErrorCode.BLOB_UNKNOWN, digest, response)


def _whole_size(response: UpstreamResponse, offset: int) -> int | None:
    told = response.header("content-range") or ""
    match = _CONTENT_RANGE.fullmatch(told)
    if match is None or int(match[1]) != offset:
        raise UpstreamContentError(
            f"{response.source} was asked for a blob from byte {offset} on "
            f"and sent {printable(told)[:100] or 'no range'}"
        )
    return int(match[2]) if match[2] else None


async def _without_first(count: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if count >= len(chunk):
            count -= len(chunk)
        else:
            yield chunk[count:] if count else chunk
            count = 0
