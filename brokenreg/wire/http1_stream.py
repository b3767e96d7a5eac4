"""`HTTP1Stream`: one request of an HTTP/1.1 connection. It decodes the body and sends the response."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import IO

from brokenreg.bulk.lent_socket import LentBody
from brokenreg.bulk.sendfile import FileSender
from brokenreg.http.asgi import ClientDisconnectedError, EncodedHeaders, Scope
from brokenreg.http.http1_heads import (
    CHUNKED,
    CONTINUE,
    MAX_HEAD,
    RequestError,
    RequestHead,
    ResponseHead,
    date_line,
    error_response,
    read_head,
    response_head,
)
from brokenreg.wire.connection import Connection
from brokenreg.wire.cutting import reset
from brokenreg.wire.request_body import RequestBody
from brokenreg.wire.stream import Stream
from brokenreg.wording import counted

_YIELD_SIZE = 32 * 1024
_CHUNK_LINE = rb"(?:([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?(\r\n|\r?\Z)|\Z)"
_FIRST_CHUNK = re.compile(_CHUNK_LINE)
_NEXT_CHUNK = re.compile(rb"\r(?:\n" + _CHUNK_LINE + rb"|\Z)|\Z")
"""The beginning of a chunk, or the part of it that has arrived. The line break ends the chunk before."""

_MAX_CHUNK_LINE, _TURN = 4096, 125
"""Maximum length of the line before a chunk, and number of chunks that are decoded at a time."""


class ResponseLengthError(Exception):
    """The body of a response is longer or shorter than its Content-Length."""


class BodyDecoder:
    """Finds the exact end of one body.

    Chunks (RFC 9112, section 7.1) are decoded strictly: only CRLF, and nothing around the size. Sizes,
    extensions and trailers are checked and limited. Extensions and trailers are dropped.
    """

    def __init__(self, length: int) -> None:
        self.is_chunked = length == CHUNKED
        self.left = 0 if self.is_chunked else length
        """The number of bytes that are missing of the body, or of a chunk."""
        self.is_ended = False
        self._line = _FIRST_CHUNK
        self._is_last = False
        """True if only the trailers follow."""

    def decode(self, data: bytes) -> tuple[bytes, int]:
        """Return the part of the body in `data`, and the number of bytes read. Raise `RequestError`.

        Bytes that were not read must be passed again, together with later ones.
        """
        pieces: list[bytes] = []
        at = 0
        for _ in range(_TURN):
            pieces.append(data[at : at + self.left])
            at += len(pieces[-1])
            self.left -= len(pieces[-1])
            if self.left or not self.is_chunked:
                self.is_ended = not self.left
                break
            read = self._read_line(data, at) if not self._is_last else self._read_trailers(data, at)
            at += read
            if not read or self.is_ended:
                break
        return b"".join(pieces), at

    def _read_line(self, data: bytes, at: int) -> int:
        """Read the line with the size of a chunk. Return its length in bytes, or 0 if it is incomplete."""
        match = self._line.match(data, at)
        if match is None:
            raise RequestError(400)
        if match.end() - at > _MAX_CHUNK_LINE:
            raise RequestError(431)
        if match[2] != b"\r\n":
            return 0
        self.left = int(match[1], 16)
        self._line, self._is_last = _NEXT_CHUNK, not self.left
        # The line break after the last size may be the first half of the end of the trailers.
        return match.end() - at - 2 * self._is_last

    def _read_trailers(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n\r\n", at, at + MAX_HEAD)
        if end < 0:
            if len(data) - at >= MAX_HEAD:
                raise RequestError(431)
            return 0
        read_head(b"GET / HTTP/1.0" + data[at:end])  # 1.0 needs no Host and allows no Transfer-Encoding
        self.is_ended = True
        return end + 4 - at


class HTTP1Stream(Stream):
    """One request and its response. The next request of the connection begins when both have ended.

    `ended` is called when the whole response was written, and `taken` when a part of the body was taken.
    """

    is_complete = False
    """True if the whole response was written."""

    _length: int | None = None
    """The number of missing bytes of the response's body, in the form of `ResponseHead.length`."""

    _borrower: FileSender | LentBody | None = None  # lets a thread use the socket

    def __init__(
        self,
        connection: Connection,
        head: RequestHead,
        scope: Scope,
        ended: Callable[[], None],
        taken: Callable[[int], None],
    ) -> None:
        super().__init__(connection, scope, RequestBody(taken) if head.length else None)
        self._request = head
        self._ended = ended
        self._is_bodiless = scope["method"] == "HEAD"
        self.keep_alive = head.keep_alive
        """True if the connection continues after the response."""
        if head.length:
            self._decoder = BodyDecoder(head.length)

    # The body of the request

    def read_body(self, data: bytes) -> int:
        """Read a part of the body. Return the number of bytes read. Raise `RequestError`."""
        body = self.body
        if body is None or self.is_read:
            return 0
        piece, read = self._decoder.decode(data)
        if piece:
            body.feed(piece)
        if self._decoder.is_ended:
            body.end()
        return read

    def lose(self) -> None:
        """Note that the client has disconnected."""
        if self.body is not None:
            self.body.lose()
        if self._borrower is not None:
            self._borrower.stop()

    def respond_continue(self) -> None:
        if self._request.expects_continue:
            self._request.expects_continue = False
            if not (self.has_started or self.connection.transport.is_closing()):
                self._write_now(CONTINUE + date_line() + b"\r\n")

    async def lend_body(self) -> LentBody | None:
        self.respond_continue()
        body = self.body
        if body is None or body.is_over or self._decoder.is_chunked or self.unsent:
            return None
        arrived = body.take_all()  # first, because it may resume reading
        socket = self.connection.lend(to_receive=True)
        self._borrower = lent = LentBody(socket, arrived, self._decoder.left)
        return lent

    def take_back_body(self, body: LentBody) -> None:
        self._borrower = None
        if body.is_lost:  # before the event loop notices it
            self.connection.note_disconnect()
        if self.body is not None and not self.body.is_over:
            self._decoder.left = body.left
            if body.is_cut_short:
                self.connection.eof_received()
            elif not body.left:
                self.body.end()
        body.give_back()

    # The response

    def respond(self, status: int, headers: EncodedHeaders, body: bytes) -> None:
        head = self._head(status, headers)
        if self._is_bodiless or head.length != len(body):
            body = self._framed(body, more=False)
        self.has_started = True
        self._write_now(head.before + date_line() + head.after + body)
        self.is_complete = True
        self._ended()

    async def _send_start(self, status: int, headers: Sequence[tuple[bytes, bytes]], pace: float) -> None:
        head = self._head(status, headers).dated()
        if pace:
            due = self.connection.loop.time()
            for position in range(len(head) - 1):
                self._write_now(head[position : position + 1])
                due += pace
                await self.wait(due - self.connection.loop.time())
            head = head[-1:]
        await self._send_raw(head)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        piece = self._framed(data, more=more)
        if more:
            await self._send_raw(piece)
            return
        if piece:
            self._write_now(piece)
        if self.unsent:
            await self.connection.drain()
        # A client may disconnect as soon as it has all bytes. The response is complete then, too.
        self._end()
        if len(piece) >= _YIELD_SIZE:
            await asyncio.sleep(0)

    async def _send_file(self, file: IO[bytes], offset: int, count: int) -> None:
        if self._is_bodiless or not count:
            return
        if self._length == CHUNKED:
            self._write_now(b"%x\r\n" % count)
        else:
            self._count(count)
        lent = self.connection.lend(to_receive=False)
        self._borrower = sender = FileSender(lent)
        try:
            await sender.send(file, offset, count)
        except ConnectionError:
            self.connection.note_disconnect()
            self.connection.transport.abort()
            raise ClientDisconnectedError from None
        finally:
            self.file_bytes += sender.sent
            self._borrower = None
            lent.give_back()
        if self._length == CHUNKED:
            self._write_now(b"\r\n")

    def fail(self, status: int = 500) -> None:
        transport = self.connection.transport
        if self.is_complete or self.is_gone or transport.is_closing():
            return
        self.keep_alive = False
        if not self.has_started:
            self.has_started = True
            self._write_now(error_response(status))
        elif self._length is None:  # a regular end of the connection would end the body
            reset(transport)
        self._end()

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
        """Return the head of the response, and note how its body is framed."""
        keep_alive, version = self.keep_alive and not self.inbound.is_stopping, self.scope["http_version"]
        head = response_head(status, headers, is_1_1=version == "1.1", keep_alive=keep_alive)
        self._length, self.keep_alive = head.length, head.keep_alive
        self._is_bodiless = self._is_bodiless or head.is_bodiless
        return head

    def _framed(self, data: bytes, *, more: bool) -> bytes:
        """Return a part of the body with its framing. Raise `ResponseLengthError`."""
        if self._is_bodiless:
            return b""
        if self._length == CHUNKED:
            return (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + (b"" if more else b"0\r\n\r\n")
        self._count(len(data))
        if self._length and not more:
            raise ResponseLengthError(f"{counted(self._length, 'byte')} less than its Content-Length")
        return data

    def _count(self, size: int) -> None:
        """Count a part of the body. Raise `ResponseLengthError` if it is longer than the Content-Length."""
        if self._length is not None:
            if size > self._length:
                raise ResponseLengthError(f"{counted(size - self._length, 'byte')} beyond its Content-Length")
            self._length -= size

    async def _send_raw(self, data: bytes) -> None:
        """Write, and wait until the transport accepts more bytes. Raise `ClientDisconnectedError`."""
        if data:
            self._write_now(data)
        await self.connection.drain()
        if len(data) >= _YIELD_SIZE:
            await asyncio.sleep(0)

    def _write_now(self, data: bytes) -> None:
        """Write without waiting. Raise `ClientDisconnectedError`."""
        connection = self.connection
        if connection.is_cut or connection.transport.is_closing():
            connection.note_disconnect()
            raise ClientDisconnectedError
        connection.transport.write(data)

    def _end(self) -> None:
        self.is_complete = True
        self._ended()
