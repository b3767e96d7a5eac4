"""`CheckedHTTP2`: Hypercorn's HTTP/2, which reads a method and a path as ASCII without having looked."""

from __future__ import annotations

import hypercorn.protocol
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived
from hypercorn.protocol.h2 import H2Protocol

_READ_AS_ASCII = (b":method", b":path")


class CheckedHTTP2(H2Protocol):
    """Resets the stream of a request that is malformed (RFC 9113, section 8.1.1); the others go on."""

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
            elif isinstance(each, DataReceived):  # it counts for the connection's window all the same
                self.connection.acknowledge_received_data(each.flow_controlled_length, each.stream_id)
        await super()._handle_events(taken)


def _is_malformed(request: RequestReceived) -> bool:
    return not all(value.isascii() for name, value in request.headers if name in _READ_AS_ASCII)


def install() -> None:
    """Put it where Hypercorn looks for its HTTP/2."""
    setattr(hypercorn.protocol, "H2Protocol", CheckedHTTP2)  # noqa: B010 - assigning to another module's class
