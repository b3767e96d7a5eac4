"""httpx over asyncio streams: fast for bulk, and connecting only where we may.

httpx's own transport reads 64 KiB at a time through several layers. What the loop has received is taken whole
here: of public parts of httpcore, a network backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx

from brokenreg.proxy.addresses import AddressPolicy, Trust

_BUFFER = 1024 * 1024
_MAX_CONNECTIONS = 256
_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 30.0


class Transport(httpx.AsyncBaseTransport):
    """The connections to one upstream, and to where it leads; shared with no other."""

    def __init__(self, context: ssl.SSLContext, policy: AddressPolicy, trust: Trust) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            http2=False,
            network_backend=_Backend(policy, trust),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raise `httpcore` errors, `ssl.SSLError`, `UpstreamForbiddenError`."""
        url = request.url
        response = await self._pool.handle_async_request(
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
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, policy: AddressPolicy, trust: Trust) -> None:
        self._policy = policy
        self._trust = trust

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return _Plain(await self._connect(host, port))

    async def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that answers; to exactly what was judged, never resolved again."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for *_, address in found:
            self._policy.check(host, str(address[0]), port, self._trust)
        problem = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in found:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(connection, address)
            except OSError as error:
                connection.close()
                problem = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise problem

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Plain(httpcore.AsyncNetworkStream):
    """A bare socket: what the kernel has is read in one piece, and copied once."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """All that is there: `max_bytes` is what httpcore would be content with."""
        with _as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                return await self._loop.sock_recv(self._socket, _BUFFER)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as_httpcore(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                await self._loop.sock_sendall(self._socket, buffer)

    async def aclose(self) -> None:
        self._socket.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """From here on over asyncio's streams, which know TLS."""
        with _as_httpcore(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(
                    sock=self._socket, ssl=ssl_context, server_hostname=server_hostname, limit=_BUFFER
                )
        return _Encrypted(reader, writer)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection that has ended, or says what nobody asked
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(0))
        return None


class _Encrypted(httpcore.AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As for a bare socket."""
        with _as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                return await self._reader.read(_BUFFER)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as_httpcore(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.transport.abort()  # goodbyes of TLS are not worth waiting for

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._reader.at_eof() or self._writer.is_closing()
        return self._writer.get_extra_info(info)


@contextlib.contextmanager
def _as_httpcore(late: type[Exception], failed: type[Exception]) -> Any:
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
