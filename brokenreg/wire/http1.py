"""`HTTP1`: our own HTTP/1.1. It reads one request after another; `HTTP1Stream` sends the response to each.

What was read and is not parsed yet stays in one buffer. The next request is parsed when the one before has
been answered, so that pipelined requests are bounded and answered in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from brokenreg.wire.application import Application
from brokenreg.wire.asgi import ZERO_COPY
from brokenreg.wire.connection import Next
from brokenreg.wire.connection_events import TLSHelloOnPlainPort
from brokenreg.wire.http1_body import BodyDecoder, ChunkedDecoder, LengthDecoder
from brokenreg.wire.http1_head import PREFACE, RequestError, RequestHead, check_beginning, read_head
from brokenreg.wire.http1_response import error_response
from brokenreg.wire.http1_sending import IDLE_PATIENCE, SendingConnection
from brokenreg.wire.http1_stream import HTTP1Stream
from brokenreg.wire.inbound_connection import InboundConnection
from brokenreg.wire.lent_socket import LentBody, lend
from brokenreg.wire.request_body import RequestBody

HEAD_PATIENCE = 60.0
"""Seconds that a client has for the head of a request, from its first byte on."""

_HALF_CLOSED_GRACE = 2.0
"""Seconds for the response to a client that has ended its side in the middle of a body."""

_MOST_PIPELINED = 64 * 1024
"""Bytes after a request that are read before it has been answered."""

_MOST_UNREAD = 512 * 1024
"""Bytes of a body that are read before the application has taken any."""

_TURN = 16
"""Pipelined requests that are answered before other connections get a turn."""

_TLS_HANDSHAKE = b"\x16"
_EXTENSIONS: Mapping[str, Any] = {ZERO_COPY: {}}


class HTTP1(SendingConnection):
    """One connection of HTTP/1.1."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(application, inbound, transport)
        self._buffer = b""
        """What was read and not parsed."""
        self._checked = 0
        """How much of an incomplete head was checked."""
        self._stream: HTTP1Stream | None = None
        """The request that is being answered."""
        self._body: RequestBody | None = None
        """Its body, until all of it was read."""
        self._decoder: BodyDecoder | None = None
        self._unread = 0
        """Bytes of the body that the application has not taken."""
        self._lent: LentBody | None = None
        """The rest of the body, while a thread reads it."""
        self._is_parsing = False
        self._is_paused = False
        self._is_finishing = False
        self._is_half_closed = False

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._stream is None and not self.is_closing:
            self._read_requests(self._buffer + data if self._buffer else data)
        elif self._body is not None and self._decoder is not None:
            self._read_body(self._body, self._decoder, data)
        elif self.ended.done():
            self.leftover += data
        else:
            self._keep(data)

    def _read_requests(self, data: bytes) -> None:
        """Begin the next request; if it is answered at once, the one after it, and so on."""
        self._buffer = b""
        at = 0
        for _ in range(_TURN):
            if self._room is not None:  # the client does not read its responses
                break
            end = data.find(b"\r\n\r\n", max(at, self._checked - 3)) + 4
            if end < 4:
                self._wait_for_head(data[at:])
                return
            self._checked = 0
            try:
                self._begin(data, at, end)
            except RequestError as error:
                self._refuse(error.status, data[at:])
                return
            at = end
            if at == len(data):
                return
            if self._stream is not None or self.is_closing:
                self.data_received(data[at:])
                return
        self._keep(data[at:])
        self._schedule()

    def _begin(self, data: bytes, at: int, end: int) -> None:
        """Begin the request whose head is there, and keep what follows. Raise `RequestError`."""
        if data.startswith(PREFACE, at) and not self.inbound.has_request:
            self._switch(Next.HTTP2, data[at:])
            return
        head = read_head(data[at:end])
        if head.upgrade and head.is_websocket:
            self._upgrade(head, data[at:])
            return
        body = None
        length = head.length
        if length != 0:
            body = self._body = RequestBody(self._taken)
            self._decoder = ChunkedDecoder() if length is None else LengthDecoder(length)
        line = head.line
        stream = self._stream = HTTP1Stream(
            self,
            head,
            {
                "type": "http",
                "http_version": line.version,
                "method": line.method,
                "scheme": self.scheme,
                "path": line.path,
                "raw_path": line.raw_path,
                "query_string": line.query,
                "headers": head.headers,
                "client": self.client,
                "server": self.server,
                "extensions": _EXTENSIONS,
            },
            body,
        )
        self._is_parsing = True
        try:
            self.start(stream)
        finally:
            self._is_parsing = False

    def _upgrade(self, head: RequestHead, data: bytes) -> None:
        if self.application.websocket is not None:
            self._switch(Next.WEBSOCKET, data)
            return
        fields = dict(head.headers)
        is_valid = fields.get(b"sec-websocket-version") == b"13" and b"sec-websocket-key" in fields
        raise RequestError(403 if is_valid and head.line.version == "1.1" else 400)

    def _switch(self, protocol: Next, data: bytes) -> None:
        """Let another protocol continue with what was not parsed."""
        self.release()
        self.hand_over(protocol, data)

    def _wait_for_head(self, data: bytes) -> None:
        """Keep an incomplete head, if it can become one; it has some time to."""
        try:
            check_beginning(data, self._checked)
        except RequestError as error:
            self._refuse(error.status, data)
            return
        if not self._checked:
            self.set_deadline(HEAD_PATIENCE)
        self._buffer, self._checked = data, len(data)

    def _refuse(self, status: int, data: bytes = b"") -> None:
        """Respond to what is not a valid request, and close the connection."""
        if not self.inbound.has_request:
            if data[:1] == _TLS_HANDSHAKE and not self.inbound.answered:
                self.inbound.add(TLSHelloOnPlainPort())
            self.inbound.answered = True
        if self._stream is None:
            self.transport.write(error_response(status))
        else:
            self._stream.fail(status)
        self.note_disconnect()
        self.close(is_read=False)

    # The body of a request

    def _read_body(self, body: RequestBody, decoder: BodyDecoder, data: bytes) -> None:
        try:
            piece = decoder.decode(data)
        except RequestError as error:
            self._refuse(error.status)
            return
        if piece:
            self._unread += len(piece)
            body.feed(piece)
        if decoder.is_ended:
            self._end_body(body)
            self._keep(decoder.rest)
        elif decoder.must_continue:
            self._schedule()
        else:
            self._control_reading()

    def _end_body(self, body: RequestBody) -> None:
        self._body = self._decoder = None
        body.end()

    def _taken(self, size: int) -> None:
        self._unread -= size
        if self._is_paused:
            self._control_reading()

    def lend_body(self) -> LentBody | None:
        decoder, body = self._decoder, self._body
        if body is None or not isinstance(decoder, LengthDecoder) or self.unsent or self.is_closing:
            return None
        arrived = body.take_all()  # first: it may resume reading
        self._lent = LentBody(lend(self.transport, to_receive=True), arrived, decoder.left)
        return self._lent

    def take_back_body(self, body: LentBody) -> None:
        self._lent = None
        decoder = self._decoder
        if self._body is None or not isinstance(decoder, LengthDecoder):
            return
        decoder.left = body.left
        if body.is_cut_short:
            self.eof_received()
        elif not body.left:
            self._end_body(self._body)
        body.give_back()
        self._control_reading()

    # What waits

    def _keep(self, data: bytes) -> None:
        """Keep what follows a request until it has been answered."""
        if not self.is_closing:
            self._buffer += data
            self._control_reading()

    def _control_reading(self) -> None:
        """Stop reading while too much waits."""
        is_full = (
            len(self._buffer) > _MOST_PIPELINED
            or self._unread > _MOST_UNREAD
            or (self._decoder is not None and self._decoder.must_continue)
        )
        if is_full != self._is_paused:
            self._is_paused = is_full
            if is_full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _schedule(self) -> None:
        """Continue with what waits, after other connections have had a turn."""
        self._control_reading()
        self.loop.call_soon(self._continue)

    def _continue(self) -> None:
        if self.is_closing or self.gone.is_set():
            return
        if self._body is not None and self._decoder is not None:
            if self._decoder.must_continue:
                self._read_body(self._body, self._decoder, b"")
        elif self._stream is None and self._buffer:
            self._read_requests(self._buffer)
        self._control_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stream is None and self._buffer:
            self._schedule()

    # The end of a response, and of the connection

    def response_ended(self, *, keep_alive: bool) -> None:
        self._stream = None
        if self._body is not None or not keep_alive or self._is_finishing:
            self.close(is_read=self._body is None)
            return
        self.set_deadline(IDLE_PATIENCE)
        if self._buffer and not self._is_parsing:
            self._schedule()

    def close(self, *, is_read: bool = True) -> None:
        self._drop()
        self._control_reading()
        super().close(is_read=is_read)

    def eof_received(self) -> bool:
        """Note that the client has closed its sending side; with a response in flight, it has disconnected.

        A client that has only closed its sending side in the middle of a body is told so.
        """
        if self._is_half_closed:
            return True  # a thread that read the body saw it first
        if self._body is None or self.is_closing or self.inbound.over_tls:
            self.note_disconnect()
            return False
        self._body.end(is_cut_short=True)
        self._body = self._decoder = None
        self._is_half_closed = self._is_finishing = True
        self.loop.call_later(_HALF_CLOSED_GRACE, self._end_half_closed)
        return True

    def _end_half_closed(self) -> None:
        self.note_disconnect()
        self.transport.close()

    def note_disconnect(self) -> None:
        super().note_disconnect()
        if self._body is not None:
            self._body.lose()
        if self._lent is not None:
            self._lent.stop()

    def release(self) -> None:
        super().release()
        self._drop()

    def _drop(self) -> None:
        """Drop what was read and not answered."""
        if self._body is not None:
            self._body.lose()
        self._stream = self._body = self._decoder = None
        self._buffer = b""
        self._unread = 0

    def finish(self) -> None:
        self._is_finishing = True
        if self._stream is None and not self.is_closing:
            self.close()

    def is_answering(self) -> bool:
        return self._stream is not None

    def time_out(self) -> None:
        if self._buffer:
            self._refuse(408)
        else:
            self.close()
