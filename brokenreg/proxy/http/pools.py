"""Connection pools, one for each upstream, and limits for the concurrent requests to each.

Pools are separate because one upstream may be trusted more than another. The limits exist because httpcore
scans its whole queue for each connection whenever a request begins or ends. With a few hundred waiting
requests, this would keep the event loop permanently busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import httpx

from brokenreg.oci.errors import shutting_down
from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.wording import counted


@dataclass(slots=True)
class _Pool:
    client: httpx.AsyncClient
    users: int = 0


class Pools:
    """Keeps an HTTP client for each of at most `limit` upstreams, created by `make`.

    Users of the registry choose the upstreams. To make room for another one, the least recently used client
    that is not in use is closed. Call `close` when done.
    """

    def __init__(self, make: Callable[[str], httpx.AsyncClient], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._pools: dict[str, _Pool] = {}  # the most recently used is last
        self._is_closed = False

    @asynccontextmanager
    async def using(self, upstream: str) -> AsyncIterator[httpx.AsyncClient]:
        """Provide the client of one upstream within the block.

        Raise `UpstreamBusyError` if all clients are in use, and `OCIError` 503 after `close`.
        """
        if self._is_closed:
            raise shutting_down()
        pool = self._pools.pop(upstream, None)
        evicted = self._make_room() if pool is None else None
        pool = pool or _Pool(self._make(upstream))
        self._pools[upstream] = pool
        pool.users += 1
        try:
            if evicted is not None:
                await evicted.aclose()
            yield pool.client
        finally:
            pool.users -= 1

    async def close(self) -> None:
        """Close all connections, and refuse new ones."""
        self._is_closed = True
        for pool in self._pools.values():
            await pool.client.aclose()

    def _make_room(self) -> httpx.AsyncClient | None:
        """Remove and return the client that must be closed to make room, or None if there is room."""
        if len(self._pools) < self._limit:
            return None
        name = next((name for name, pool in self._pools.items() if not pool.users), None)
        if name is None:
            raise UpstreamBusyError(f"{self._limit} other upstreams are in use; try again later")
        return self._pools.pop(name).client


MAX_REQUESTS = 256
"""Maximum number of concurrent requests to one upstream and its redirect targets."""

MAX_TOKEN_REQUESTS = 16
"""Maximum number of concurrent requests to its token services. They have separate connections, because a
request that waits for a token may already have one of the others."""

FOR_AUTH = "for_auth"
"""The key in a request's extensions that marks a request to a token service."""


class LimitedTransport(httpx.AsyncBaseTransport):
    """Limits the number of concurrent requests to `transport`.

    Other requests wait in order, for as long as the upstream may be silent. Messages contain `upstream`.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, upstream: str) -> None:
        self._transport = transport
        self._upstream = upstream
        self._free = asyncio.Semaphore(MAX_REQUESTS)
        self._free_for_tokens = asyncio.Semaphore(MAX_TOKEN_REQUESTS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raise `UpstreamBusyError` if no connection becomes free in time."""
        is_token_request = FOR_AUTH in request.extensions
        free = self._free_for_tokens if is_token_request else self._free
        try:
            async with asyncio.timeout(request.extensions["timeout"]["read"]):
                await free.acquire()
        except TimeoutError:
            most = counted(MAX_TOKEN_REQUESTS if is_token_request else MAX_REQUESTS, "request")
            raise UpstreamBusyError(
                f"{most} to {self._upstream} are already running; try again later"
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
    """A body that lets another request start when it is closed."""

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
