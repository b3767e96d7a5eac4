"""`HTTP1`: our own HTTP/1.1. It reads one request after another. `HTTP1Stream` sends the responses.

Bytes that are not parsed yet stay in one buffer. The next request is parsed after the response to the one
before, so that pipelined requests are limited and answered in order. Between requests, one deadline limits
everything that the connection waits for.
"""

from __future__ import annotations

import asyncio

from brokenreg.http.http1_heads import (
    PREFACE,
    RequestError,
    RequestHead,
    check_beginning,
    error_response,
    read_head,
)
from brokenreg.listening.connection_events import TLSHelloOnPlainPort
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.connection import Connection, Next
from brokenreg.wire.http1_stream import HTTP1Stream

HEAD_PATIENCE = 60.0
"""Seconds in which the head of a request must arrive, from its first byte on."""

IDLE_PATIENCE = 75.0
"""Seconds that a connection stays open without a request."""

_CLOSE_PATIENCE = 30.0
"""Seconds after which a closed connection ends if its client does not read the remaining bytes."""

_LINGER = 2.0
"""Seconds in which a client must read the response and close its side. Bytes that it sends are dropped."""

_HALF_CLOSED_GRACE = 2.0
"""Seconds for the response to a client that closed its sending side in the middle of a body."""

_MOST_PIPELINED = 64 * 1024
"""Maximum number of bytes after a request that are read before its response."""

_MOST_UNREAD = 512 * 1024
"""Maximum number of bytes of a body that are read before the application takes them."""

_TURN = 16
"""Number of pipelined requests, or parts of a chunked body, that are read before other tasks run."""


class HTTP1(Connection):
    """One connection of HTTP/1.1."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(inbound, transport)
        self.application = application
        self._buffer = b""
        """Bytes that were read but not parsed."""
        self._checked = 0
        """The number of bytes of an incomplete head that were checked."""
        self._stream: HTTP1Stream | None = None
        """The request whose response is in flight."""
        self._is_paused = False
        self._is_scheduled = False
        """True if the buffer is read on in the next iteration of the event loop."""
        self._is_finishing = False
        """True if no further request is accepted."""
        self._is_closing = False
        """True if the connection is being closed. Bytes that the client still sends are dropped."""
        self._unsent_before = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._set_deadline(IDLE_PATIENCE)

    # Reading

    def data_received(self, data: bytes) -> None:
        if self.ended.done():
            self.leftover += data
        elif not self._is_closing:
            self._read(self._buffer + data if self._buffer else data)

    def _read(self, data: bytes) -> None:
        """Read requests and their bodies, as far as they have arrived and it is their turn."""
        self._buffer = b""
        at = 0
        for _ in range(0 if self._is_scheduled else _TURN):
            stream = self._stream
            try:
                read = self._begin(data, at) if stream is None else stream.read_body(data[at:])
            except RequestError as error:
                self._refuse(error.status, data[at:])
                return
            at += read
            if self._is_closing or self.ended.done():
                return
            if not read or at == len(data):
                break
        else:
            self._schedule()
        self._buffer = data[at:]
        if self._stream is not None or self._buffer or self._is_paused:
            self._control_reading()

    def _begin(self, data: bytes, at: int) -> int:
        """Begin the next request if its head has arrived. Return the number of bytes read, or 0."""
        if self._room is not None:  # the client does not read its responses
            return 0
        end = data.find(b"\r\n\r\n", max(at, self._checked - 3))
        if end < 0:
            check_beginning(data[at:], self._checked)
            if not self._checked:
                self._set_deadline(HEAD_PATIENCE)
            self._checked = len(data) - at
            return 0
        self._checked = 0
        if not self.inbound.has_request and data.startswith(PREFACE, at):
            self._switch(Next.HTTP2, data[at:])
            return 0
        head = read_head(data[at:end])
        if head.wants_websocket:
            self._upgrade(head, data[at:])
            return 0
        scope = {**self.scope, **head.line, "headers": head.headers}
        self._stream = stream = HTTP1Stream(self, head, scope, self._end_response, self._body_taken)
        stream.start(self.application.answer)
        at, begin = end + 4, at
        if head.length:  # now, because a thread that reads the rest does not see the bytes here
            at += stream.read_body(data[at:])
        return at - begin

    def _upgrade(self, head: RequestHead, data: bytes) -> None:
        if self.application.websocket is not None:
            self._switch(Next.WEBSOCKET, data)
            return
        fields = dict(head.headers)
        is_valid = fields.get(b"sec-websocket-version") == b"13" and b"sec-websocket-key" in fields
        raise RequestError(403 if is_valid and head.line["http_version"] == "1.1" else 400)

    def _switch(self, protocol: Next, data: bytes) -> None:
        """Let another protocol continue with the bytes that were not parsed."""
        self._release()
        self.hand_over(protocol, data)

    def _refuse(self, status: int, data: bytes) -> None:
        """Respond to an invalid request, and close the connection."""
        if not self.inbound.has_request:
            if data[:1] == b"\x16" and not self.inbound.answered:  # a TLS handshake
                self.inbound.add(TLSHelloOnPlainPort())
            self.inbound.answered = True
        if self._stream is None:
            self.transport.write(error_response(status))
        else:
            self._stream.fail(status)
        self.note_disconnect()
        self._close(is_read=False)

    # Waiting bytes

    def _control_reading(self) -> None:
        """Pause reading while too many bytes wait."""
        body = None if self._stream is None else self._stream.body
        is_full = len(self._buffer) > _MOST_PIPELINED or (body is not None and body.waiting > _MOST_UNREAD)
        if is_full != self._is_paused:
            self._is_paused = is_full
            if is_full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _body_taken(self, size: int) -> None:
        if self._is_paused:
            self._control_reading()

    def _schedule(self) -> None:
        """Continue with the buffer after other tasks have run."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._is_scheduled = False
        if not (self._is_closing or self.gone.is_set()):
            self._read(self._buffer)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stream is None and self._buffer:
            self._schedule()

    # The end of a response, and of the connection

    def _end_response(self) -> None:
        stream = self._stream
        if stream is None:  # the connection has been closed
            return
        if stream.keep_alive and stream.is_read and not self._is_finishing:
            self._stream = None
            if self._timer is None:
                self._set_deadline(IDLE_PATIENCE)
            else:  # the timer is earlier, and checks the deadline then
                self._deadline = self.loop.time() + IDLE_PATIENCE
            if self._buffer:
                self._schedule()
        else:
            self._close(is_read=stream.is_read)

    def finish(self) -> None:
        self._is_finishing = True
        if self._stream is None and not self._is_closing:
            self._close()

    def eof_received(self) -> bool:
        """Note that the client has closed its sending side. With a response in flight, it has disconnected.

        A client that closes its sending side in the middle of a body gets an error.
        """
        body = None if self._stream is None else self._stream.body
        if body is not None and body.is_cut_short:
            return True  # a thread that read the body has noticed it first
        if body is None or body.is_over or self.inbound.over_tls:
            self._end_disconnected()
            return False
        body.end(is_cut_short=True)
        self._is_finishing = True
        self.loop.call_later(_HALF_CLOSED_GRACE, self._end_disconnected)
        return True

    def _end_disconnected(self) -> None:
        self.note_disconnect()
        if not self.ended.done():
            self._close()  # like asyncio, but with a deadline

    def note_disconnect(self) -> None:
        super().note_disconnect()
        if self._stream is not None:
            self._stream.lose()

    def _close(self, *, is_read: bool = True) -> None:
        """Close the connection after everything was sent.

        Closing a connection with unread bytes resets it, and the client may not get the response. Therefore,
        if a request was not read to its end, only our side is closed, and later bytes are dropped.
        """
        self._is_closing, self._buffer = True, b""
        stream, self._stream = self._stream, None
        if stream is not None and not stream.is_read:
            stream.lose()
        self._control_reading()
        self._unsent_before = self.unsent
        if is_read or not self.transport.can_write_eof():
            self.close_transport()
            self._set_deadline(_CLOSE_PATIENCE)
        else:
            self._set_deadline(_LINGER)
            try:
                self.transport.write_eof()
            except OSError:  # the client has reset the connection
                self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._release()

    def _release(self) -> None:
        """Free the buffers of the connection, because asyncio may keep it for a while."""
        self._is_closing, self._buffer, self._stream = True, b"", None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_deadline(self, seconds: float) -> None:
        """Set the deadline. There is one timer, which is moved only if it would be too late."""
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._deadline < self._timer.when():
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        left = self._deadline - self.loop.time()
        if self._stream is not None:
            return  # the end of the response sets the next deadline
        if left > 0:
            self._set_deadline(left)
        elif not self._is_closing:
            if self._buffer:
                self._refuse(408, b"")
            else:
                self._close()
        elif 0 < self.unsent < self._unsent_before:
            self._unsent_before = self.unsent
            self._set_deadline(_CLOSE_PATIENCE)
        else:
            self.transport.abort()
