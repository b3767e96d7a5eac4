"""`HTTP1Stream`: one request of an HTTP/1.1 connection, and how its response is sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import IO

from brokenreg.bulk.lent_socket import LentBody, lend
from brokenreg.bulk.sendfile import FileSender
from brokenreg.http.asgi import ClientDisconnectedError, EncodedHeaders, End
from brokenreg.listening.listen_socket import RESET_ON_CLOSE
from brokenreg.wire.cutting import cut
from brokenreg.wire.http1_head import RequestHead
from brokenreg.wire.http1_response import (
    CONTINUE,
    ResponseLengthError,
    date_line,
    error_response,
    framed,
    response_head,
    simple_head,
)
from brokenreg.wire.http1_sending import SendingConnection
from brokenreg.wire.request_body import RequestBody
from brokenreg.wire.stream import CHUNK, Stream

_YIELD_SIZE = 32 * 1024


class HTTP1Stream(Stream):
    """One request and its response. The next request of its connection begins when both have ended."""

    __slots__ = (
        "_is_bodiless", "_length", "_request", "_sending", "is_complete", "keep_alive",
    )  # fmt: skip

    def __init__(
        self,
        connection: SendingConnection,
        head: RequestHead,
        scope: dict[str, object],
        body: RequestBody | None,
    ) -> None:
        super().__init__(connection, scope, body)
        self._sending = connection
        self._request = head
        self._is_bodiless = head.line.method == "HEAD"
        """True if the response has no body."""
        self._length: int | None = None
        """What is left of the response's Content-Length; -1 and None as in `Framing`."""
        self.keep_alive = head.keep_alive
        """True if the connection continues after the response."""
        self.is_complete = False
        """True if all of the response was written."""

    def respond(self, status: int, headers: EncodedHeaders, body: bytes) -> None:
        head = response_head(status, headers)
        if head.is_simple and self.keep_alive:
            data = simple_head(head)
            if not (self._is_bodiless or head.is_bodiless):
                if len(body) != head.length:
                    raise ResponseLengthError(f"{len(body)} bytes, with a Content-Length of {head.length}")
                data += body
        else:
            data = self._head(status, headers) + self._framed(body, more=False)
        self.has_started = True
        self._sending.write(data)
        self._end()

    def respond_continue(self) -> None:
        if self._request.expects_continue:
            self._request.expects_continue = False
            if not (self.has_started or self._sending.transport.is_closing()):
                self._sending.write(CONTINUE + date_line() + b"\r\n")

    async def _drop_body(self, body: RequestBody) -> None:
        self.respond_continue()
        await body.dropped()

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        head = self._head(status, headers)
        if pace:
            due = self._sending.loop.time()
            for position in range(len(head) - 1):
                self._sending.write(head[position : position + 1])
                due += pace
                await self.wait(due - self._sending.loop.time())
            head = head[-1:]
        await self._write(head)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        piece = self._framed(data, more=more)
        if more:
            await self._write(piece)
            return
        if piece:
            self._sending.write(piece)
        if self._sending.unsent:
            await self._sending.drain()
        # A client may disconnect as soon as it has everything: that is the end of this response as well.
        self._end()
        if len(piece) >= _YIELD_SIZE:
            await asyncio.sleep(0)

    async def _send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        if self._is_bodiless or not count:
            return
        if self._length == -1:
            self._sending.write(b"%x\r\n" % count)
        else:
            self._count(count)
        await self._lend_socket(file, offset, count)
        if self._length == -1:
            self._sending.write(b"\r\n")

    async def _lend_socket(self, file: IO[bytes], offset: int, count: int) -> None:
        """Let a thread send a part of a file."""
        connection = self._sending
        lent = lend(connection.transport, to_receive=False)
        sender = connection.sender = FileSender(lent)
        try:
            await sender.send(file, offset, count)
        except ConnectionError:
            connection.note_disconnect()
            connection.transport.abort()
            raise ClientDisconnectedError from None
        finally:
            self.file_bytes += sender.sent
            connection.sender = None
            lent.give_back()

    async def lend_body(self) -> LentBody | None:
        self.respond_continue()
        return self._sending.lend_body()

    def take_back_body(self, body: LentBody) -> None:
        self._sending.take_back_body(body)

    async def _send_raw(self, data: bytes) -> None:
        await self._write(data)

    async def _cut(self, end: End, code: int) -> None:
        await cut(self._sending, end)

    async def room(self) -> int:
        await self._sending.drain()
        return CHUNK

    def fail(self, status: int = 500) -> None:
        connection = self._sending
        if self.is_complete or connection.gone.is_set() or connection.transport.is_closing():
            return
        self.keep_alive = False
        if not self.has_started:
            self.has_started = True
            connection.write(error_response(status))
        elif (
            self._length is None
        ):  # the client must not take the end of the connection for the end of the body
            connection.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE
            )
            connection.transport.abort()
        self._end()

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the response, and note how its body is framed."""
        head = response_head(status, headers)
        self._is_bodiless = self._is_bodiless or head.is_bodiless
        data, self._length, self.keep_alive = framed(
            head, version=self._request.line.version, keep_alive=self.keep_alive
        )
        return data

    def _framed(self, data: bytes, *, more: bool) -> bytes:
        """Return what is sent for a part of the body. Raise `ResponseLengthError`."""
        if self._is_bodiless:
            return b""
        if self._length == -1:
            return (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + (b"" if more else b"0\r\n\r\n")
        self._count(len(data))
        if self._length and not more:
            raise ResponseLengthError(f"{self._length} bytes less than its Content-Length")
        return data

    def _count(self, size: int) -> None:
        """Count a part of the body. Raise `ResponseLengthError` if it is longer than the Content-Length."""
        if self._length is not None:
            if size > self._length:
                raise ResponseLengthError(f"{size - self._length} bytes more than its Content-Length")
            self._length -= size

    async def _write(self, data: bytes) -> None:
        """Write, and wait while the transport accepts no more. Raise `ClientDisconnectedError`."""
        if data:
            self._sending.write(data)
        await self._sending.drain()
        if len(data) >= _YIELD_SIZE:
            await asyncio.sleep(0)

    def _end(self) -> None:
        self.is_complete = True
        self._sending.response_ended(keep_alive=self.keep_alive)
