"""Bodies that httpx reads whole by itself, or for us: no more of them than is reasonable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import httpx

from brokenreg.proxy.errors import UpstreamContentError

_MOST = 1024 * 1024
"""Bytes of a redirect, of a 401, of an answer of a token service."""


def shorten(response: httpx.Response, who: str) -> None:
    """Let reading the body raise `UpstreamContentError` if it is too long; `who` sends it."""
    # We have asked for no encoding; one that comes anyway would let a few bytes become gigabytes.
    response.headers.pop("content-encoding", None)
    response.stream = _ShortBody(cast(httpx.AsyncByteStream, response.stream), who)


class _ShortBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, who: str) -> None:
        self._stream = stream
        self._who = who

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > _MOST:
                raise UpstreamContentError(f"{self._who} sent more than {_MOST} bytes where a few would do")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
