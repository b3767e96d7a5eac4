"""The sending half of a connection of HTTP/1.1: what is written, and how the connection is closed.

Nothing waits forever: there is one deadline for whatever the connection waits for outside of requests.
"""

from __future__ import annotations

import asyncio
import math

from brokenreg.bulk.lent_socket import LentBody
from brokenreg.bulk.sendfile import FileSender
from brokenreg.http.asgi import ClientDisconnectedError
from brokenreg.listening.inbound_connection import InboundConnection
from brokenreg.wire.application import Application
from brokenreg.wire.connection import Connection

IDLE_PATIENCE = 75.0
"""Seconds that a connection stays open without a request."""

_CLOSE_PATIENCE = 30.0
"""Seconds after which a closed connection ends, if its client reads nothing of what is left to send."""

_LINGER = 2.0
"""Seconds that a client has to read the response and to end its side, while what it sends is dropped."""


class SendingConnection(Connection):
    """Writes to the client, and closes the connection."""

    def __init__(
        self, application: Application, inbound: InboundConnection, transport: asyncio.Transport
    ) -> None:
        super().__init__(inbound, transport)
        self.application = application
        self.sender: FileSender | None = None
        """Sends a file past the transport."""
        self.is_closing = False
        """True if the connection is being closed; what the client still sends is dropped."""
        self._unsent_before = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        self.set_deadline(IDLE_PATIENCE)

    def write(self, data: bytes) -> None:
        """Write without waiting. Raise `ClientDisconnectedError`."""
        if self.is_cut or self.transport.is_closing():
            self.note_disconnect()
            raise ClientDisconnectedError
        self.transport.write(data)

    def note_disconnect(self) -> None:
        super().note_disconnect()
        if self.sender is not None:
            self.sender.stop()

    def response_ended(self, *, keep_alive: bool) -> None:
        """Note that all of a response was written: the next request may follow."""
        raise NotImplementedError

    def lend_body(self) -> LentBody | None:
        """Lend the rest of a request's body to a thread; None if its end is not known, or has arrived."""
        raise NotImplementedError

    def take_back_body(self, body: LentBody) -> None:
        """Continue with the connection after a thread has read from it."""
        raise NotImplementedError

    # The end of the connection

    def close(self, *, is_read: bool = True) -> None:
        """Close the connection once everything was sent.

        A connection that is closed with unread bytes is reset, and the client may never see the response. So
        if not all of a request was read, only our side ends, and what still comes is dropped for some time.
        """
        self.is_closing = True
        self._unsent_before = self.unsent
        if is_read or not self.transport.can_write_eof():
            self.transport.close()
            self.set_deadline(_CLOSE_PATIENCE)
        else:
            self.transport.write_eof()
            self.set_deadline(_LINGER)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.release()

    def release(self) -> None:
        """Drop what the connection holds: asyncio may keep it for a while."""
        self.is_closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def set_deadline(self, seconds: float) -> None:
        """Set the deadline. There is one timer, which is moved only if it would be too late."""
        self._deadline = self.loop.time() + seconds
        if self._deadline < self._timer_due:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._deadline
        self._timer = self.loop.call_at(self._deadline, self._check_time)

    def _check_time(self) -> None:
        self._timer, self._timer_due = None, math.inf
        if self.is_answering():
            return  # the end of the response sets the next deadline
        if self.loop.time() < self._deadline:
            self._start_timer()
        elif not self.is_closing:
            self.time_out()
        elif 0 < self.unsent < self._unsent_before:
            self._unsent_before = self.unsent
            self.set_deadline(_CLOSE_PATIENCE)
        else:
            self.transport.abort()

    def is_answering(self) -> bool:
        """Return whether a request is being answered."""
        raise NotImplementedError

    def time_out(self) -> None:
        """End a connection whose client has sent nothing, or not all of a head, until the deadline."""
        raise NotImplementedError
