"""TLS to an upstream inside TLS to a web proxy. Python's TLS sockets cannot be nested."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import httpcore

_T = TypeVar("_T")

_READ = 64 * 1024


class NestedTLS(httpcore.AsyncNetworkStream):
    """TLS over another stream. Bodies are always read through httpcore: it has no socket of its own."""

    def __init__(self, outer: httpcore.AsyncNetworkStream, context: ssl.SSLContext, host: str | None) -> None:
        self._outer = outer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self) -> None:
        """Do the TLS handshake. Raise `ssl.SSLError` and `httpcore` errors. The caller limits the time."""
        await self._do(self._tls.do_handshake, None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._do(partial(self._tls.read, max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(f"TLS: {error.reason}") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            await self._do(partial(self._tls.write, buffer), timeout)
        except ssl.SSLError as error:
            raise httpcore.WriteError(f"TLS: {error.reason}") from error

    async def aclose(self) -> None:
        await self._outer.aclose()

    def get_extra_info(self, info: str) -> Any:
        if info in ("socket", "ssl_object"):  # those of the outer stream would bypass this TLS
            return None
        return self._outer.get_extra_info(info)

    async def _do(self, operation: Callable[[], _T], timeout: float | None) -> _T:
        await asyncio.sleep(0)  # let others run: the received bytes may contain thousands of tiny records
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._send(timeout)
                received = await self._outer.read(_READ, timeout)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                await self._send(timeout)
                return result

    async def _send(self, timeout: float | None) -> None:
        if self._outgoing.pending:
            await self._outer.write(self._outgoing.read(), timeout)
