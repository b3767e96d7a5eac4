"""Bounds, in bytes and time, bodies that are read whole."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

import httpx

from brokenreg.oci.plurals import counted
from brokenreg.proxy.encodings import unrequested_encoding
from brokenreg.proxy.errors import UpstreamContentError, UpstreamSilentError

_MOST = 256 * 1024
"""Bytes of a redirect, of a 401, of an answer of a token service."""

ENCODING = "encoding"
"""The key in a response's extensions for its Content-Encoding, which httpx would otherwise apply."""

_SLOWEST = 8 * 1024
"""Minimum average speed of a body after `patience`, in bytes per second."""


async def shortened(
    chunks: AsyncIterable[bytes], who: str, limit: int, patience: float
) -> AsyncIterator[bytes]:
    """Pass on the body that `who` sends, as it comes.

    Raise `UpstreamContentError` if it has more than `limit` bytes, `UpstreamSilentError` if it is slow and
    takes more than `patience` seconds.
    """
    size, begin = 0, time.monotonic()
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise UpstreamContentError(
                f"{who} sent more than {counted(limit, 'byte')}, the most accepted here"
            )
        seconds = time.monotonic() - begin
        if seconds > patience + size / _SLOWEST:
            raise UpstreamSilentError(
                f"{who} is too slow: it sent {counted(size, 'byte')} in {seconds:.0f} s"
            )
        yield chunk


def shorten(response: httpx.Response, who: str, patience: float) -> None:
    """Bound the body that httpx will read, as `shortened` does; `who` sends it."""
    # No encoding was requested. Decoding one could turn a few bytes into gigabytes.
    response.extensions[ENCODING] = unrequested_encoding(response.headers)
    response.headers.pop("content-encoding", None)
    response.stream = _ShortBody(cast(httpx.AsyncByteStream, response.stream), who, patience)


class _ShortBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, who: str, patience: float) -> None:
        self._stream = stream
        self._who = who
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in shortened(self._stream, self._who, _MOST, self._patience):
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
