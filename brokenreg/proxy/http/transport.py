"""An httpx transport over httpcore with our own connections, whose bodies share the event loop."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial

import httpcore
import httpx

from brokenreg.proxy.http.addresses import AddressPolicy, Trust
from brokenreg.proxy.http.bounded_stream import BoundedStream
from brokenreg.proxy.http.connecting import Backend
from brokenreg.proxy.http.lookups import Resolve
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies

_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 30.0
_PORTS = range(1, 65536)

MOST_FRAMING = 16 * 1024 * 1024
"""Maximum size of a response's chunked framing beyond its content, in bytes."""

_CHUNKS_A_TURN = 256
"""Number of chunks of one read that are passed on without a pause; takes 2 ms."""

_PAUSE = 0.001
"""Seconds between two such turns of all responses together: the event loop has that time for others."""


class _ReadTurns:
    """Lets responses that come in tiny chunks share the event loop with others, however many there are."""

    def __init__(self) -> None:
        self._next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        self._next = max(now, self._next) + _PAUSE
        await asyncio.sleep(self._next - now)


_TURNS = _ReadTurns()


class Transport(httpx.AsyncBaseTransport):
    """The connections to one upstream and its redirect targets, not shared with other upstreams."""

    def __init__(
        self,
        context: ssl.SSLContext,
        policy: AddressPolicy,
        trust: Trust,
        resolve: Resolve,
        web_proxies: WebProxies = DIRECT,
    ) -> None:
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=None,  # `LimitedTransport` limits them
                max_keepalive_connections=_KEPT_CONNECTIONS,
                keepalive_expiry=_KEPT_SECONDS,
                http2=False,
                network_backend=Backend(policy, trust, resolve, context, partial(web_proxies.find, scheme)),
            )
            for scheme in ("https", "http")
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `httpcore` errors, `ssl.SSLError`, `UpstreamForbiddenError`."""
        url = request.url
        if url.port is not None and url.port not in _PORTS:
            # The system would connect to another host than the one that the policy checked.
            raise httpcore.ConnectError(f"there is no port {url.port}")
        pool = self._pools.get(url.scheme, self._pools["https"])  # both pools refuse all other schemes
        response = await pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        stream: BoundedStream = response.extensions["network_stream"]
        stream.end_head()
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response. httpcore pauses only for reads, and passes on every tiny chunk."""

    def __init__(self, response: httpcore.Response, stream: BoundedStream) -> None:
        self._response = response
        self._stream = stream
        self._has_length = all(name.lower() != b"transfer-encoding" for name, _ in response.headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks. Raise `httpcore.RemoteProtocolError` if the framing far exceeds the content."""
        size, chunks, reads = 0, 0, 0
        async for chunk in self._response.aiter_stream():
            size += len(chunk)
            if self._stream.body_bytes - size > MOST_FRAMING + size:
                raise httpcore.RemoteProtocolError("it sends chunks with almost no content")
            chunks = chunks + 1 if self._stream.reads == reads else 1
            reads = self._stream.reads
            if chunks % _CHUNKS_A_TURN == 0:
                await _TURNS.wait()
            yield chunk
        if self._has_length and self._stream.body_bytes > size:
            self._stream.is_usable = False

    async def aclose(self) -> None:
        await self._response.aclose()
