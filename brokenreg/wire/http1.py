"""`HTTP1`: our own HTTP/1.1. It reads one request after another; `HTTP1Stream` sends the response to each.

What was read and is not parsed yet stays in one buffer. The next request is parsed when the one before has
been answered, so that pipelined requests are bounded and answered in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from brokenreg.http.asgi import ZERO_COPY
from brokenreg.listening.connection_events import TLSHelloOnPlainPort
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.connection import Next
from brokenreg.wire.http1_body import ChunkedDecoder, LengthDecoder
from brokenreg.wire.http1_head import PREFACE, RequestError, RequestHead, check_beginning, read_head
from brokenreg.wire.http1_receiving import ReceivingConnection
from brokenreg.wire.http1_response import error_response
from brokenreg.wire.http1_sending import IDLE_PATIENCE
from brokenreg.wire.http1_stream import HTTP1Stream

HEAD_PATIENCE = 60.0
"""Seconds that a client has for the head of a request, from its first byte on."""

_TURN = 16
"""Pipelined requests that are answered before other connections get a turn."""

_TLS_HANDSHAKE = b"\x16"
_EXTENSIONS: Mapping[str, Any] = {ZERO_COPY: {}}


class HTTP1(ReceivingConnection):
    """One connection of HTTP/1.1."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(application, inbound, transport)
        self._checked = 0
        """How much of an incomplete head was checked."""
        self._stream: HTTP1Stream | None = None
        """The request that is being answered."""
        self._is_parsing = False

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._stream is None and not self.is_closing:
            self._read_requests(self._buffer + data if self._buffer else data)
        elif self._body is not None and self._decoder is not None:
            self.read_body(self._body, self._decoder, data)
        elif self.ended.done():
            self.leftover += data
        else:
            self.keep(data)

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
                self.refuse(error.status, data[at:])
                return
            at = end
            if at == len(data) or self.ended.done():
                return
            if self._stream is not None or self.is_closing:
                self.data_received(data[at:])
                return
        self.keep(data[at:])
        self.schedule()

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
        if head.has_body and (length := head.length) != 0:
            body = self.expect_body(ChunkedDecoder() if length is None else LengthDecoder(length))
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
            stream.start(self.application.answer)
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
            self.refuse(error.status, data)
            return
        if not self._checked:
            self.set_deadline(HEAD_PATIENCE)
        self._buffer, self._checked = data, len(data)

    def refuse(self, status: int, data: bytes = b"") -> None:
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

    def proceed(self) -> None:
        if self._stream is None and self._buffer:
            self._read_requests(self._buffer)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stream is None and self._buffer:
            self.schedule()

    # The end of a response, and of the connection

    def response_ended(self, *, keep_alive: bool) -> None:
        self._stream = None
        if self._body is not None or not keep_alive or self.is_finishing:
            self.close(is_read=self._body is None)
            return
        self.set_deadline(IDLE_PATIENCE)
        if self._buffer and not self._is_parsing:
            self.schedule()

    def drop(self) -> None:
        super().drop()
        self._stream = None

    def finish(self) -> None:
        self.is_finishing = True
        if self._stream is None and not self.is_closing:
            self.close()

    def is_answering(self) -> bool:
        return self._stream is not None

    def time_out(self) -> None:
        if self._buffer:
            self.refuse(408)
        else:
            self.close()
