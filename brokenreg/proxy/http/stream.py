"""A socket for httpcore, with or without TLS. Each read lets other tasks run."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import httpcore

from brokenreg.config.upstreams import WebProxy
from brokenreg.oci.errors import NO_DESCRIPTOR, TOO_MANY_FILES
from brokenreg.proxy.errors import UpstreamBusyError
from brokenreg.proxy.http.nested_tls import NestedTLS

_T = TypeVar("_T")

_READ = 256 * 1024
"""Bytes per read; larger buffers cost more than they save."""


class Stream(httpcore.AsyncNetworkStream):
    """A non-blocking socket, with or without TLS; `get_extra_info("socket")` returns it.

    `web_proxy` is the web proxy that the connection goes through.
    """

    def __init__(self, connection: socket.socket, web_proxy: WebProxy | None = None) -> None:
        self._socket = connection
        self._web_proxy = web_proxy
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the bytes that are available; `max_bytes` comes from httpcore."""
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
        self._socket.close()  # do not wait for the end of TLS

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
        stream = Stream(encrypted, self._web_proxy)
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
        """Do an operation when the socket is ready. `watch` waits until a socket without TLS is ready.

        Each operation lets other tasks run. Otherwise a peer that sends faster than we read would block them.
        """
        while True:
            await asyncio.sleep(0)
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
        """Return whether an idle connection has ended, or sent bytes without a request.

        This reads from it, because TLS sends messages that are not content (RFC 8446, section 4.6).
        """
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@contextlib.contextmanager
def as_httpcore(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Convert socket errors to httpcore's, or to `UpstreamBusyError` if no file descriptor is left."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
        if isinstance(error, OSError) and error.errno in TOO_MANY_FILES:
            raise UpstreamBusyError(NO_DESCRIPTOR) from None
        raise failed(_description(error)) from error


def _description(error: Exception) -> str:
    """Return the system's description of the error."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is invalid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
