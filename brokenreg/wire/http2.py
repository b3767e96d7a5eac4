"""Checks HTTP/2 requests before Hypercorn does, which decodes method and path as ASCII without a check."""

from __future__ import annotations

import hypercorn.protocol
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived
from hypercorn.protocol.h2 import H2Protocol

_READ_AS_ASCII = (b":method", b":path")


class CheckedHTTP2(H2Protocol):
    """Resets the stream of a request that is malformed (RFC 9113, section 8.1.1); the others continue."""

    async def _handle_events(self, events: list[Event]) -> None:
        refused = {
            each.stream_id for each in events if isinstance(each, RequestReceived) and _is_malformed(each)
        }
        for stream_id in refused:
            self.connection.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
        taken = []
        for each in events:
            if getattr(each, "stream_id", None) not in refused:
                taken.append(each)
            elif isinstance(each, DataReceived):  # it still counts for the connection's window
                self.connection.acknowledge_received_data(each.flow_controlled_length, each.stream_id)
        await super()._handle_events(taken)


def _is_malformed(request: RequestReceived) -> bool:
    return not all(value.isascii() for name, value in request.headers if name in _READ_AS_ASCII)


def install() -> None:
    """Replace Hypercorn's HTTP/2 by `CheckedHTTP2`."""
    setattr(hypercorn.protocol, "H2Protocol", CheckedHTTP2)  # noqa: B010 - assigning to another module's class
