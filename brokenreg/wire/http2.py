"""Checks HTTP/2 requests and DATA frames before Hypercorn, which fails on some of them."""

from __future__ import annotations

from contextvars import ContextVar

import hypercorn.protocol
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived
from hypercorn.events import Closed
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.h2 import H2Protocol

BODY_FOLLOWS: ContextVar[bool] = ContextVar("body_follows", default=False)
"""True in the task of a request whose headers did not end its stream: DATA follows, which may be empty."""

_READ_AS_ASCII = (b":method", b":path")


class CheckedHTTP2(H2Protocol):
    """Resets the stream of a malformed request (RFC 9113, section 8.1.1), and drops late DATA."""

    async def handle(self, event: ConnectionEvent) -> None:
        await super().handle(event)
        if isinstance(event, Closed):
            # What is still sent to a stream waits until its buffer has room, and nothing empties it any more.
            for buffer in list(self.stream_buffers.values()):
                await buffer.close()

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, RequestReceived):
                BODY_FOLLOWS.set(event.stream_ended is None)
            if isinstance(event, RequestReceived) and _is_malformed(event):
                self.connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
            elif isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # The request was refused, or its response has been sent. The bytes still count for the
                # connection's window.
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            else:
                await super()._handle_events([event])
        await self._flush()


def _is_malformed(request: RequestReceived) -> bool:
    return not all(value.isascii() for name, value in request.headers if name in _READ_AS_ASCII)


def install() -> None:
    """Replace Hypercorn's HTTP/2 by `CheckedHTTP2`."""
    setattr(hypercorn.protocol, "H2Protocol", CheckedHTTP2)  # noqa: B010 - assigning to another module's class
