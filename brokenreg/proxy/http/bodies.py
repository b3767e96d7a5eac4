"""Bodies of upstream responses: large ones come from the socket, short ones bounded, none encoded.

A thread reads a large body from the socket: HTTP has nothing to say in the middle of a body whose length is
known, and each layer would copy it once more.
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
    """The next `count` bytes of a connection that does not block.

    What is raised is what `told` makes of httpcore's errors. `patience` is for how many seconds nothing may
    come. The connection is of no use afterwards.
    """

    def __init__(
        self,
        connection: socket.socket,
        count: int,
        patience: float | None,
        told: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._left = count
        self._patience = patience
        self._told = told
        self._events = select.POLLIN

    def read_into(self, buffer: memoryview) -> int | None:
        """How many bytes came; 0 at the end, or if there is no more, None if there are none yet."""
        if not self._left:
            return 0
        self._events = select.POLLIN
        with self._told(), as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            try:
                count = self._connection.recv_into(buffer[: self._left])
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            except ssl.SSLWantWriteError:  # a key update
                self._events = select.POLLOUT
                return None
        self._left -= count
        return count

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes, or the end; False if there were none in time."""
        poll = select.poll()
        poll.register(self._connection, self._events)
        patience = self._patience if seconds is None else seconds
        if poll.poll(None if patience is None else patience * 1000):
            return True
        if seconds is None:
            with self._told():
                raise httpcore.ReadTimeout
        return False

    def stop(self) -> None:
        """Let whoever reads or waits see the end."""
        with contextlib.suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)  # not TLS's own: it may be in use


_MOST = 256 * 1024
"""Bytes of a redirect, of a 401, of an answer of a token service."""

ENCODING = "encoding"
"""The key in a response's extensions for its Content-Encoding, which httpx would otherwise apply."""

_SLOWEST = 8 * 1024
"""Minimum average speed of a body after `patience`, in bytes per second."""


async def limited_chunks(
    chunks: AsyncIterable[bytes], who: str, limit: int, patience: float
) -> AsyncIterator[bytes]:
    """Pass on the body that `who` sends, as it comes.

    Raise `UpstreamContentError` if it has more than `limit` bytes, `UpstreamSilentError` if it is slow and
    takes more than `patience` seconds.
    """
    size, begin = 0, time.monotonic()
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise UpstreamContentError(
                f"{who} sent more than {counted(limit, 'byte')}, the most accepted here"
            )
        seconds = time.monotonic() - begin
        if seconds > patience + size / _SLOWEST:
            raise UpstreamSilentError(
                f"{who} is too slow: it sent {counted(size, 'byte')} in {seconds:.0f} s"
            )
        yield chunk


def limit_body(response: httpx.Response, who: str, patience: float) -> None:
    """Bound the body that httpx will read, as `limited_chunks` does; `who` sends it."""
    # No encoding was requested. Decoding one could turn a few bytes into gigabytes.
    response.extensions[ENCODING] = unrequested_encoding(response.headers)
    response.headers.pop("content-encoding", None)
    response.stream = _LimitedBytes(cast(httpx.AsyncByteStream, response.stream), who, patience)


class _LimitedBytes(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, who: str, patience: float) -> None:
        self._stream = stream
        self._who = who
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in limited_chunks(self._stream, self._who, _MOST, self._patience):
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


_LONGEST = 60
"""Maximum number of characters of a header's value in a message."""


def unrequested_encoding(headers: httpx.Headers) -> str | None:
    """Return the Content-Encoding of a response, or None (RFC 9110, section 8.4)."""
    value = headers.get("content-encoding", "")
    names = [name.strip() for name in value.split(",") if name.strip().lower() not in ("", "identity")]
    return printable(", ".join(names))[:_LONGEST] if names else None


def with_encoding(who: str, encoding: str | None) -> str:
    """Return the sender, with the encoding if any, as the subject of a message."""
    if encoding is None:
        return who
    return f"{who} (with Content-Encoding {encoding}, which was not requested)"
