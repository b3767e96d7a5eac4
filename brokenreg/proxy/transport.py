"""httpx over sockets of our own: connecting only where we may, and the bulk of a body read past it.

Of public parts of httpcore, a network backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import httpcore
import httpx

from brokenreg.option_values import WebProxy
from brokenreg.proxy.addresses import AddressPolicy, Trust, parse_address
from brokenreg.proxy.connecting import Address, connect
from brokenreg.proxy.nested_tls import NestedTLS
from brokenreg.proxy.tunnel import check_unresolved, is_loopback_name, tunnel
from brokenreg.proxy.web_proxies import DIRECT, WebProxies

_T = TypeVar("_T")

_READ = 256 * 1024
"""Bytes read at a time; buffers that are larger cost more than they save."""

_MAX_CONNECTIONS = 256
_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 30.0

_LOOKUP = 2.0
"""Seconds to resolve a name that a web proxy resolves too; where nobody else can, lookups time out."""


class Transport(httpx.AsyncBaseTransport):
    """The connections to one upstream, and to where it leads; shared with no other."""

    def __init__(
        self,
        context: ssl.SSLContext,
        policy: AddressPolicy,
        trust: Trust,
        web_proxies: WebProxies = DIRECT,
    ) -> None:
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=_KEPT_CONNECTIONS,
                keepalive_expiry=_KEPT_SECONDS,
                http2=False,
                network_backend=_Backend(policy, trust, context, partial(web_proxies.find, scheme)),
            )
            for scheme in ("https", "http")
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `httpcore` errors, `ssl.SSLError`, `UpstreamForbiddenError`."""
        url = request.url
        pool = self._pools.get(url.scheme, self._pools["https"])  # either refuses all other schemes
        response = await pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects directly, or by the web proxy that `find` names for a host and a port."""

    def __init__(
        self,
        policy: AddressPolicy,
        trust: Trust,
        context: ssl.SSLContext,
        find: Callable[[str, int], WebProxy | None],
    ) -> None:
        self._policy = policy
        self._trust = trust
        self._context = context
        self._find = find

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
            return await tunnel(lambda: self._reach(web_proxy), web_proxy, host, port, timeout)
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return _Stream(await self._connect(host, port))

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to exactly what was judged; it is never resolved again."""
        found = await _resolve(host, port)
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return await connect(found)

    async def _is_elsewhere(self, host: str, port: int) -> bool:
        """True unless a host is this machine, which a web proxy does not lead to.

        Raise `UpstreamForbiddenError` if the host may not be connected to, as far as we can resolve it.
        """
        if is_loopback_name(host):
            return False
        try:
            async with asyncio.timeout(_LOOKUP):
                found = await _resolve(host.rstrip("."), port)
        except (OSError, TimeoutError):
            check_unresolved(host, port)
            return True
        for _, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        return not any(parse_address(str(address[0])).is_loopback for _, address in found)

    async def _reach(self, web_proxy: WebProxy) -> httpcore.AsyncNetworkStream:
        with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            found = await _resolve(web_proxy.host, web_proxy.port)
            stream = _Stream(await connect(found), web_proxy)
        return (
            await stream.start_tls(self._context, web_proxy.host) if web_proxy.scheme == "https" else stream
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A socket that does not block, bare or with TLS; `get_extra_info("socket")` gives it away.

    `web_proxy` is what it leads through.
    """

    def __init__(self, connection: socket.socket, web_proxy: WebProxy | None = None) -> None:
        self._socket = connection
        self._web_proxy = web_proxy
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What is there: `max_bytes` is what httpcore would be content with."""
        with as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                return await self._ready(lambda: self._socket.recv(_READ), self._loop.add_reader)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with as_httpcore(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                rest = memoryview(buffer)
                while rest:
                    rest = rest[await self._ready(partial(self._socket.send, rest), self._loop.add_writer) :]

    async def aclose(self) -> None:
        self._socket.close()  # goodbyes of TLS are not worth waiting for

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        start = self._nest_tls if isinstance(self._socket, ssl.SSLSocket) else self._start_tls
        try:
            with as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    return await start(ssl_context, server_hostname)
        except httpcore.ConnectError as error:
            if self._web_proxy is None or not isinstance(error.__cause__, ssl.SSLError):
                raise
            raise httpcore.ConnectError(
                f"{error} (through the web proxy {self._web_proxy}; if it decrypts TLS, "
                "add its CA with --upstream-ca FILE)"
            ) from error.__cause__

    async def _start_tls(self, context: ssl.SSLContext, host: str | None) -> httpcore.AsyncNetworkStream:
        encrypted = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        stream = _Stream(encrypted, self._web_proxy)
        try:
            await stream._ready(encrypted.do_handshake, self._loop.add_reader)
        except BaseException:
            encrypted.close()
            raise
        return stream

    async def _nest_tls(self, context: ssl.SSLContext, host: str | None) -> httpcore.AsyncNetworkStream:
        stream = NestedTLS(self, context, host)
        await stream.handshake()
        return stream

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._is_readable()
        if info == "web_proxy":
            return self._web_proxy
        return self._socket if info == "socket" else None

    async def _ready(self, operation: Callable[[], _T], watch: Callable[..., object]) -> _T:
        """Do it once the socket is ready for it; `watch` tells when a bare one that was not may be."""
        while True:
            try:
                return operation()
            except BlockingIOError:
                await self._watched(watch)
            except ssl.SSLWantReadError:
                await self._watched(self._loop.add_reader)
            except ssl.SSLWantWriteError:
                await self._watched(self._loop.add_writer)

    async def _watched(self, watch: Callable[..., object]) -> None:
        ready = self._loop.create_future()
        descriptor = self._socket.fileno()
        watch(descriptor, _set, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def _is_readable(self) -> bool:
        """Whether an idle connection has ended, or says what nobody asked.

        It is read from, for TLS has messages of its own that are nobody's answer (RFC 8446, section 4.6).
        """
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True


async def _resolve(host: str, port: int) -> list[Address]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, *_, address in found]


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@contextlib.contextmanager
def as_httpcore(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Turn what sockets raise into what httpcore does."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
        raise failed(_plain(error)) from error


def _plain(error: Exception) -> str:
    """What went wrong, in the system's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
