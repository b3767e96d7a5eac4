"""The receiving half of a connection of HTTP/1.1: the bodies of requests, and what waits to be parsed."""

from __future__ import annotations

import asyncio

from brokenreg.bulk.lent_socket import LentBody, lend
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.http1_body import BodyDecoder, LengthDecoder
from brokenreg.wire.http1_head import RequestError
from brokenreg.wire.http1_sending import SendingConnection
from brokenreg.wire.request_body import RequestBody

_HALF_CLOSED_GRACE = 2.0
"""Seconds for the response to a client that has ended its side in the middle of a body."""

_MOST_PIPELINED = 64 * 1024
"""Bytes after a request that are read before it has been answered."""

_MOST_UNREAD = 512 * 1024
"""Bytes of a body that are read before the application has taken any."""


class ReceivingConnection(SendingConnection):
    """Reads bodies, keeps what follows them, and stops reading while too much waits."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(application, inbound, transport)
        self._buffer = b""
        """What was read and not parsed."""
        self._body: RequestBody | None = None
        """The body of the request that is being answered, until all of it was read."""
        self._decoder: BodyDecoder | None = None
        self._unread = 0
        """Bytes of the body that the application has not taken."""
        self._lent: LentBody | None = None
        """The rest of the body, while a thread reads it."""
        self._is_paused = False
        self._is_half_closed = False
        self.is_finishing = False
        """True if no further request is accepted."""

    # The body of a request

    def expect_body(self, decoder: BodyDecoder) -> RequestBody:
        """Return the body that follows, which was not read yet."""
        self._decoder = decoder
        self._body = RequestBody(self._taken)
        return self._body

    def read_body(self, body: RequestBody, decoder: BodyDecoder, data: bytes) -> None:
        """Read a part of the body, and what follows it."""
        try:
            piece = decoder.decode(data)
        except RequestError as error:
            self.refuse(error.status)
            return
        if piece:
            self._unread += len(piece)
            body.feed(piece)
        if decoder.is_ended:
            self._end_body(body)
            self.keep(decoder.rest)
        elif decoder.must_continue:
            self.schedule()
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
        if self._body is not None and isinstance(decoder, LengthDecoder):
            decoder.left = body.left
            if body.is_cut_short:
                self.eof_received()
            elif not body.left:
                self._end_body(self._body)
        body.give_back()
        self._control_reading()

    # What waits

    def keep(self, data: bytes) -> None:
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

    def schedule(self) -> None:
        """Continue with what waits, after other connections have had a turn."""
        self._control_reading()
        self.loop.call_soon(self._continue)

    def _continue(self) -> None:
        if self.is_closing or self.gone.is_set():
            return
        if self._body is None or self._decoder is None:
            self.proceed()
        elif self._decoder.must_continue:
            self.read_body(self._body, self._decoder, b"")
        self._control_reading()

    def proceed(self) -> None:
        """Continue with the next request, if nothing is being answered."""
        raise NotImplementedError

    # The end

    def eof_received(self) -> bool:
        """Note that the client has closed its sending side; with a response in flight, it has disconnected.

        A client that has only closed its sending side in the middle of a body is told so.
        """
        if self._is_half_closed:
            return True  # a thread that read the body saw it first
        if self._body is None or self.is_closing or self.inbound.over_tls:
            self.note_disconnect()
            self.close()  # as asyncio does, but with a deadline
            return False
        self._body.end(is_cut_short=True)
        self._body = self._decoder = None
        self._is_half_closed = self.is_finishing = True
        self.loop.call_later(_HALF_CLOSED_GRACE, self._end_half_closed)
        return True

    def _end_half_closed(self) -> None:
        self.note_disconnect()
        self.close()

    def note_disconnect(self) -> None:
        super().note_disconnect()
        if self._body is not None:
            self._body.lose()
        if self._lent is not None:
            self._lent.stop()

    def release(self) -> None:
        super().release()
        self.drop()

    def drop(self) -> None:
        """Drop what was read and not answered."""
        if self._body is not None:
            self._body.lose()
        self._body = self._decoder = None
        self._buffer = b""
        self._unread = 0

    def refuse(self, status: int, data: bytes = b"") -> None:
        """Respond to what is not a valid request, and close the connection."""
        raise NotImplementedError

    def close(self, *, is_read: bool = True) -> None:
        self.drop()
        self._control_reading()
        super().close(is_read=is_read)
