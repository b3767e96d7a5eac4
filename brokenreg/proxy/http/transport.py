"""httpx transports: one that sends requests with httpcore, and one that reports each request."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import cast

import httpcore
import httpx

from brokenreg.proxy.errors import UpstreamContentError, UpstreamSilentError, UpstreamUnreachableError
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, host_and_port
from brokenreg.proxy.http.bodies import limit_body
from brokenreg.proxy.http.bounded_stream import BoundedStream
from brokenreg.proxy.http.connecting import Backend
from brokenreg.proxy.http.failures import Destination, upstream_errors
from brokenreg.proxy.http.lookups import Resolve
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import UpstreamResponded

_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 30.0
_PORTS = range(1, 65536)

MOST_FRAMING = 16 * 1024 * 1024
"""Maximum size of a response's chunked framing beyond its content, in bytes."""

_CHUNKS_PER_TURN = 256
"""Number of chunks of one read that are passed on without a pause. This takes 2 ms."""

_PAUSE = 0.001
"""Seconds between two such turns of all responses together, in which other tasks run."""

_MAX_LOCATION = 16 * 1024
"""Maximum length of a redirect's URL, in bytes: parsing a longer one would block the loop too long."""


class _ReadTurns:
    """Slows down responses in tiny chunks, so that even many of them leave time for other tasks."""

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
            # The system could connect to a port other than the one that the policy checked.
            raise httpcore.ConnectError(f"invalid port {url.port}")
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
                raise httpcore.RemoteProtocolError("it sends chunks that have almost no content")
            chunks = chunks + 1 if self._stream.reads == reads else 1
            reads = self._stream.reads
            if chunks % _CHUNKS_PER_TURN == 0:
                await _TURNS.wait()
            yield chunk
        if self._has_length and self._stream.body_bytes > size:
            self._stream.is_usable = False

    async def aclose(self) -> None:
        await self._response.aclose()


def silence_limit(request: httpx.Request) -> float:
    """Return how long the server may be silent, in seconds."""
    seconds: float = request.extensions["timeout"]["read"]
    return seconds


class TracingTransport(httpx.AsyncBaseTransport):
    """Adds an event for each request, including those for redirects and authentication."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `UpstreamError`."""
        destination: Destination = request.extensions["destination"]
        try:
            with upstream_errors(destination, request.url):
                response = await self._transport.handle_async_request(request)
        except (UpstreamUnreachableError, UpstreamSilentError) as error:
            error.is_outage = host_and_port(request.url) == host_and_port(destination.url)
            raise
        where = f"{request.url.netloc.decode('ascii')}{request.url.path}"
        web_proxy = response.extensions["network_stream"].get_extra_info("web_proxy")
        add_event: AddEvent = request.extensions["add_event"]
        through = None if web_proxy is None else str(web_proxy)
        add_event(UpstreamResponded(request.method, where, response.status_code, through))
        response.stream = _TracedBody(cast(httpx.AsyncByteStream, response.stream), destination, request.url)
        if response.has_redirect_location:  # httpx reads its body, in order to use the connection again
            sender = destination.name_at(request.url)
            limit_body(response, sender, silence_limit(request))
            if len(response.headers["location"]) > _MAX_LOCATION:
                await response.aclose()
                raise UpstreamContentError(f"{sender} redirects to a URL of more than {_MAX_LOCATION} bytes")
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


class _TracedBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, destination: Destination, url: httpx.URL) -> None:
        self._stream = stream
        self._destination = destination
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raise `UpstreamError`."""
        with upstream_errors(self._destination, self._url):
            async for chunk in self._stream:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
