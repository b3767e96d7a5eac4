"""Reads the bodies of upstream responses: short ones with limits, and long ones in threads.

If the length of a long body is known, a thread reads it directly from the socket, because each layer of HTTP
code would copy it once more.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import cast

import httpcore
import httpx

from brokenreg.proxy.errors import UpstreamContentError, UpstreamSilentError
from brokenreg.proxy.http.stream import as_httpcore
from brokenreg.wording import counted, printable


class BodySource:
    """Reads the next `count` bytes from a non-blocking connection, which cannot be used afterwards.

    `errors` converts httpcore's errors. The peer may be silent for `patience` seconds.
    """

    def __init__(
        self,
        connection: socket.socket,
        count: int,
        patience: float | None,
        errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._left = count
        self._patience = patience
        self._errors = errors
        self._events = select.POLLIN

    def read_into(self, buffer: memoryview) -> int | None:
        """Read available bytes. Return their number, 0 at the end, or None if none are available yet."""
        if not self._left:
            return 0
        self._events = select.POLLIN
        with self._errors(), as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            try:
                count = self._connection.recv_into(buffer[: self._left])
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            except ssl.SSLWantWriteError:  # TLS must send a key update first
                self._events = select.POLLOUT
                return None
        self._left -= count
        return count

    def wait(self, seconds: float | None) -> bool:
        """Wait until bytes are available or the connection ends. Return False if `seconds` pass before."""
        poll = select.poll()
        poll.register(self._connection, self._events)
        patience = self._patience if seconds is None else seconds
        if poll.poll(None if patience is None else patience * 1000):
            return True
        if seconds is None:
            with self._errors():
                raise httpcore.ReadTimeout
        return False

    def stop(self) -> None:
        """End the connection, so that the thread that uses it returns."""
        with contextlib.suppress(OSError):  # it has ended already
            # Not the method of SSLSocket: a thread may be using the TLS connection.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


_MAX_SHORT_BODY = 256 * 1024
"""Maximum size of the body of a redirect, a 401 or a token service, in bytes."""

ENCODING = "encoding"
"""The key in a response's extensions for its Content-Encoding, which httpx would otherwise apply."""

_MIN_SPEED = 8 * 1024
"""Minimum average speed of a body after `patience`, in bytes per second."""


async def limited_chunks(
    chunks: AsyncIterable[bytes], server: str, limit: int, patience: float
) -> AsyncIterator[bytes]:
    """Yield the body that `server` sends, with limits for its size and time.

    Raise `UpstreamContentError` if it has more than `limit` bytes, and `UpstreamSilentError` if it is slow
    and takes more than `patience` seconds.
    """
    size, begin = 0, time.monotonic()
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise UpstreamContentError(
                f"{server} sent more than {counted(limit, 'byte')}, which is the limit"
            )
        seconds = time.monotonic() - begin
        if seconds > patience + size / _MIN_SPEED:
            raise UpstreamSilentError(
                f"{server} is too slow: it sent {counted(size, 'byte')} in {seconds:.0f} s"
            )
        yield chunk


def limit_body(response: httpx.Response, server: str, patience: float) -> None:
    """Limit a body that httpx reads, as `limited_chunks` does. `server` sends it."""
    # No encoding was requested, and decoding could expand a few bytes to gigabytes.
    response.extensions[ENCODING] = unrequested_encoding(response.headers)
    response.headers.pop("content-encoding", None)
    response.stream = _LimitedBytes(cast(httpx.AsyncByteStream, response.stream), server, patience)


class _LimitedBytes(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, server: str, patience: float) -> None:
        self._stream = stream
        self._server = server
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in limited_chunks(self._stream, self._server, _MAX_SHORT_BODY, self._patience):
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


_MAX_QUOTED = 60
"""Maximum length of a header's value in a message, in characters."""


def unrequested_encoding(headers: httpx.Headers) -> str | None:
    """Return the Content-Encoding of a response, or None (RFC 9110, section 8.4)."""
    value = headers.get("content-encoding", "")
    names = [name.strip() for name in value.split(",") if name.strip().lower() not in ("", "identity")]
    return printable(", ".join(names))[:_MAX_QUOTED] if names else None


def with_encoding(server: str, encoding: str | None) -> str:
    """Return the subject of a message: the sender, with the encoding if any."""
    if encoding is None:
        return server
    return f"{server} (with Content-Encoding {encoding}, which was not requested)"
