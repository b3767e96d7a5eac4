"""Reads the stream of events of the control API (server-sent events, WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from brokenreg.client.documents import Event
from brokenreg.client.errors import ControlError

EVENTS = "/v1/events"
EVENT_STREAM = "text/event-stream"

_LONGEST = 1024 * 1024
"""Maximum length of one event, in bytes."""


class EventReader:
    """Cuts the bytes of a stream into events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are complete now. Raise `ControlError` for one that is too long."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            event = _event(block)
            if event is not None:
                yield event
        if len(self._rest) > _LONGEST:
            raise ControlError("the control API sends an event of more than 1 MiB")


def _event(block: bytes) -> Event | None:
    """Return the event in a block of lines, or None for a comment."""
    lines = (line.partition(b": ") for line in block.split(b"\n") if not line.startswith(b":"))
    fields = {name: value for name, _, value in lines}
    if b"event" not in fields:
        return None
    kind = fields[b"event"].decode()
    data = json.loads(fields[b"data"])
    if kind == "dropped":
        return Event(event=kind, exchange=None, dropped=data["events"])
    if kind in ("lost", "joined"):
        return Event(event=kind, exchange=None, dropped=0, replica=data["replica"])
    return Event(event=kind, exchange=data, dropped=0)
