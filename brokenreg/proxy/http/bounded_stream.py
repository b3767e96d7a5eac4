"""A connection that limits the bytes, lines, interim responses and time of each response's head."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any

import httpcore

MOST_HEAD_BYTES = 64 * 1024
"""Maximum size of one head including its interim responses, in bytes. nginx and Apache allow far less."""

MOST_HEAD_LINES = 512
MOST_INTERIM = 16
"""Maximum number of interim responses (1xx) before the final response."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_BLANK_LINE_BYTES = 3

_TRANSFER_ENCODING = re.compile(rb"^transfer-encoding[ \t]*:(.*)", re.IGNORECASE | re.MULTILINE)
"""Python strips the value: a pattern that excludes trailing blanks would take minutes for many blanks."""


class _Head:
    """Checks the head of one response as it arrives, including interim responses.

    httpcore reads heads in a loop without a pause. Therefore it gets one at a time, up to its blank line.
    """

    def __init__(self, patience: float | None) -> None:
        self._limit = None if patience is None else asyncio.get_running_loop().time() + patience
        self._bytes = 0
        self._lines = 0
        self._ended = 0
        self._tail = b""
        self._text = bytearray()

    @property
    def time_left(self) -> float | None:
        """Return the seconds until the head must be complete, or None without a limit."""
        return None if self._limit is None else self._limit - asyncio.get_running_loop().time()

    def take(self, data: bytes) -> int:
        """Return how many bytes of `data` belong to the head that is arriving.

        Raise `httpcore.RemoteProtocolError` if the head exceeds a bound, or for a transfer coding that our
        requests do not accept (RFC 9112, section 6.1).
        """
        self._check_interim()
        blank = _BLANK_LINE.search(self._tail + data)
        count = len(data) if blank is None else blank.end() - len(self._tail)
        self._tail = b"" if blank else (self._tail + data)[-_BLANK_LINE_BYTES:]
        self._bytes += count
        self._lines += data.count(b"\n", 0, count)
        self._ended += blank is not None
        if self._bytes > MOST_HEAD_BYTES or self._lines > MOST_HEAD_LINES:
            raise httpcore.RemoteProtocolError(
                f"the head of its response has more than {MOST_HEAD_BYTES} bytes or {MOST_HEAD_LINES} lines"
            )
        self._text += data[:count]
        if blank:
            self._check_codings()
        return count

    def _check_codings(self) -> None:
        """Refuse transfer codings by name. h11 refuses them too, but does not name them."""
        for value in map(bytes.strip, _TRANSFER_ENCODING.findall(self._text)):
            if value.lower() != b"chunked":
                name = value.decode("latin-1")[:60]
                raise httpcore.RemoteProtocolError(
                    f"it sent Transfer-Encoding {name}, which was not requested"
                )
        self._text.clear()

    def _check_interim(self) -> None:
        """Raise if there were too many heads. After an interim head, httpcore reads another one."""
        if self._ended > MOST_INTERIM:
            raise httpcore.RemoteProtocolError(f"it sent more than {MOST_INTERIM} interim responses (1xx)")


class BoundedStream(httpcore.AsyncNetworkStream):
    """Limits what is read from `stream`. After a write, it expects a response head until `end_head`."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._head: _Head | None = None
        self._expects_head = False
        self._unread = b""
        self.body_bytes = 0
        """Bytes given to httpcore since the last head, including framing."""
        self.reads = 0
        self.is_usable = True
        """False after surplus bytes have arrived: they would be read as the next response."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._expects_head and self._head is None:
            self._head = _Head(timeout)
        if self._unread:
            await asyncio.sleep(0)  # let other tasks run, as every read does
            data = self._unread
        else:
            data = await self._stream.read(max_bytes, self._head.time_left if self._head else timeout)
        count = self._head.take(data) if self._head else len(data)
        self._unread = data[count:]
        self.body_bytes += count
        self.reads += 1
        return data[:count]

    def end_head(self) -> None:
        """Let reads return the body, after the head has been read."""
        self._head, self._expects_head = None, False
        self.body_bytes = 0

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._head, self._expects_head = None, True
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and (self._unread or not self.is_usable):
            return True
        return self._stream.get_extra_info(info)
