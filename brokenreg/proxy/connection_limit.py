"""How many requests to one upstream have a connection at once; the others wait here.

httpcore looks at its whole queue for each connection whenever a request begins or ends: a few hundred that
wait there keep the event loop busy for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import httpx

from brokenreg.oci.plurals import counted
from brokenreg.proxy.errors import UpstreamBusyError

MOST = 256
"""Requests to one upstream, and to where it redirects, that have a connection."""

MOST_FOR_TOKENS = 16
"""Requests to its token services. They have connections of their own: whoever waits for a token may have one
of the others already."""

LOGS_IN = "logs_in"
"""Where in a request's extensions stands that it is one to a token service."""


class LimitedTransport(httpx.AsyncBaseTransport):
    """Passes requests on to `transport`, no more than so many at once.

    The others wait in order, for as long as the upstream may be silent. `upstream` is for messages.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, upstream: str) -> None:
        self._transport = transport
        self._upstream = upstream
        self._free = asyncio.Semaphore(MOST)
        self._free_for_tokens = asyncio.Semaphore(MOST_FOR_TOKENS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `UpstreamBusyError` if no connection is free in time, and what the transport raises."""
        logs_in = LOGS_IN in request.extensions
        free = self._free_for_tokens if logs_in else self._free
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                await free.acquire()
        except TimeoutError:
            most = counted(MOST_FOR_TOKENS if logs_in else MOST, "request")
            raise UpstreamBusyError(
                f"{most} to {self._upstream} are under way already; try again later"
            ) from None
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException:
            free.release()
            raise
        response.stream = _LimitedBody(cast(httpx.AsyncByteStream, response.stream), free)
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _LimitedBody(httpx.AsyncByteStream):
    """A body whose connection others may use once it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, free: asyncio.Semaphore) -> None:
        self._stream = stream
        self._free = free
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            if not self._is_closed:
                self._is_closed = True
                self._free.release()
