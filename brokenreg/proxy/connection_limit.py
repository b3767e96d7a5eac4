"""Limits the concurrent requests to one upstream; the others wait here.

httpcore scans its whole queue for each connection whenever a request begins or ends. With a few hundred
waiting requests, this would keep the event loop permanently busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import httpx

from brokenreg.oci.plurals import counted
from brokenreg.proxy.errors import UpstreamBusyError

MOST = 256
"""Maximum number of concurrent requests to one upstream and its redirect targets."""

MOST_FOR_TOKENS = 16
"""Maximum number of concurrent requests to its token services. They have separate connections, because a
request that waits for a token may already have one of the others."""

LOGS_IN = "logs_in"
"""The key in a request's extensions that marks a request to a token service."""


class LimitedTransport(httpx.AsyncBaseTransport):
    """Passes a limited number of concurrent requests on to `transport`.

    The others wait in order, for as long as the upstream may be silent. `upstream` is for messages.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, upstream: str) -> None:
        self._transport = transport
        self._upstream = upstream
        self._free = asyncio.Semaphore(MOST)
        self._free_for_tokens = asyncio.Semaphore(MOST_FOR_TOKENS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raise `UpstreamBusyError` if no connection becomes free in time."""
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
    """A body that frees its connection for others when it is closed."""

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
