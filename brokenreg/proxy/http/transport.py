"""An httpx transport over our own sockets: it checks addresses, and its bodies share the event loop.

Of public parts of httpcore, a network backend.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import httpcore
import httpx

from brokenreg.option_values import WebProxy
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, parse_address
from brokenreg.proxy.http.bounded_stream import BoundedStream
from brokenreg.proxy.http.connecting import Address, connect
from brokenreg.proxy.http.expiring import Expiring
from brokenreg.proxy.http.lookups import Resolve
from brokenreg.proxy.http.stream import Stream, as_httpcore
from brokenreg.proxy.http.tunnel import check_unresolved, is_loopback_name, tunnel
from brokenreg.proxy.http.web_proxies import DIRECT, WebProxies

_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 30.0
_PORTS = range(1, 65536)

_LOOKUP = 2.0
"""Seconds to resolve a name that a web proxy resolves too; if only the web proxy can, lookups time out."""

_UNRESOLVED = 60.0
"""Seconds for which a name is not looked up again after its lookup took too long."""

_MOST_UNRESOLVED = 64

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
    """The connections to one upstream, and to where it leads; shared with no other."""

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
                network_backend=_Backend(policy, trust, resolve, context, partial(web_proxies.find, scheme)),
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


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects directly, or by the web proxy that `find` names for a host and a port."""

    def __init__(
        self,
        policy: AddressPolicy,
        trust: Trust,
        resolve: Resolve,
        context: ssl.SSLContext,
        find: Callable[[str, int], WebProxy | None],
    ) -> None:
        self._policy = policy
        self._trust = trust
        self._resolve = resolve
        self._context = context
        self._find = find
        self._unresolved: Expiring[str, bool] = Expiring(_MOST_UNRESOLVED)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        web_proxy = self._find(host, port)
        if web_proxy is not None and await self._is_elsewhere(host, port):
            return BoundedStream(await tunnel(lambda: self._reach(web_proxy), web_proxy, host, port, timeout))
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return BoundedStream(Stream(await self._connect(host, port)))

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to exactly what was judged; it is never resolved again."""
        found = await self._resolve(host, port)
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return await connect(found)

    async def _is_elsewhere(self, host: str, port: int) -> bool:
        """Return whether to use the web proxy for a host: False if the host is this machine.

        Raise `UpstreamForbiddenError` if we can resolve the host, and its address is not allowed.
        """
        if is_loopback_name(host):
            return False
        found = await self._looked_up(host.rstrip("."), port)
        if not found:
            check_unresolved(host, port)
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return not any(parse_address(str(address[0])).is_loopback for _, address in found)

    async def _looked_up(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host behind a web proxy; empty if we cannot resolve it in time."""
        if self._unresolved.get(host):
            return []
        try:
            async with asyncio.timeout(_LOOKUP):
                return await self._resolve(host, port)
        except TimeoutError:
            self._unresolved.keep(host, True, _UNRESOLVED)
        except OSError:
            pass
        return []

    async def _reach(self, web_proxy: WebProxy) -> httpcore.AsyncNetworkStream:
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = await self._resolve(web_proxy.host, web_proxy.port)
            stream = Stream(await connect(found), web_proxy)
        return (
            await stream.start_tls(self._context, web_proxy.host) if web_proxy.scheme == "https" else stream
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
