"""The passage of one response through the gate, which can hold it at any position until an order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from brokenreg.concurrency import first_of
from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.gate.edits import EditableHead
from brokenreg.http.asgi import (
    CUT,
    H2,
    INTERNAL_ERROR,
    ZERO_COPY,
    ClientDisconnectedError,
    End,
    Message,
    Send,
)
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.responses import respond_error
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline_events import (
    BreakpointMatched,
    ResponseAborted,
    ResponseEdited,
    ResponseHeld,
    ResponseResumed,
    ResponseStepped,
)
from brokenreg.wire.stream import Stream

HEADERS = -1
"""The position before the headers. All other positions are numbers of bytes of the body."""

STEP = 64 * 1024
"""Default size of a step, in bytes."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Send the rest of the response."""


@dataclass(frozen=True, slots=True)
class Step:
    """Send `size` bytes of the body (and the headers, if they are held), then hold again."""

    size: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Send an error with `status` if the headers are held; without a status, cut with RST or RST_STREAM."""

    status: int | None = None


Order = Resume | Step | Abort


class NotHeldError(Exception):
    """The exchange is not held, or the order is not valid at its position; the message says which."""


class PassageOwner(Protocol):
    """The part of the gate that a passage needs."""

    breakpoints: Breakpoints
    is_disabled: bool
    """True once the server is stopping, and nothing may be held any more."""

    def note_held(self, passage: Passage) -> None:
        """Record that the exchange of a passage is now held."""

    def note_released(self, passage: Passage) -> None:
        """Record that the exchange of a passage is no longer held."""


class Passage:
    """The passage of one exchange. `position` is HEADERS, then the number of bytes of the body sent."""

    __slots__ = (
        "_by",
        "_gate",
        "_head",
        "_hold_at",
        "_order",
        "_paused",
        "_send",
        "_stream",
        "exchange",
        "position",
    )

    def __init__(self, gate: PassageOwner, exchange: Exchange, stream: Stream, send: Send) -> None:
        self._gate = gate
        self._stream = stream
        self._send = send
        self._hold_at: int | None = None
        self._by = ""
        self._order: asyncio.Future[Order] | None = None
        self._head: Message | None = None
        self._paused = 0.0
        self.exchange = exchange
        self.position = HEADERS

    def hold(self, at: int, by: str) -> None:
        """Hold before the headers (HEADERS) or after that many bytes of the body.

        `by` names whoever holds the response, for display.
        """
        if not self._gate.is_disabled:
            self._hold_at, self._by = at, by

    def clock(self) -> float:
        """Return the loop's time in seconds, minus the time during which the exchange was held or stalled.

        Faults that pace a response compare their deadlines with this clock. Otherwise, after a hold, they
        would send everything that had become due in the meantime at full speed.
        """
        return asyncio.get_running_loop().time() - self._paused

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Stop `clock` during a block. Blocks of one exchange never overlap."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            yield
        finally:
            self._paused += loop.time() - began

    async def send(self, message: Message) -> None:
        """Send as ASGI's `send` does, and wait while held. Raise `ClientDisconnectedError` if aborted."""
        if message["type"] == "http.response.start":
            if self._gate.breakpoints.entries:
                self._check_breakpoints(message)
            while self._hold_at is not None and self._hold_at <= HEADERS:
                self._head = message
                await self._pause()
                message = self._head
            self._head = None
            await self._send(message)
            self.position = 0
            return
        size = _size(message)
        while self._hold_at is not None and self._hold_at < self.position + size:
            room = self._hold_at - self.position
            if room > 0:
                first, message = _split(message, room)
                await self._send(first)
                self.position += room
                size -= room
            await self._pause()
        await self._send(message)
        self.position += size

    @property
    def head(self) -> EditableHead:
        """Return the held status and headers. Raise `NotHeldError` if they have already been sent."""
        return EditableHead.of(self._held_head())

    def edit(self, head: EditableHead) -> None:
        """Replace the held head. Raise `NotHeldError` if it was sent, `HeadError` if `head` is invalid."""
        held = self._held_head()
        if changes := head.changes_from(EditableHead.of(held), self.exchange.method):
            self._head = head.message(held)
            self.exchange.edited = "; ".join(filter(None, (self.exchange.edited, changes)))
            self.exchange.add(ResponseEdited(changes))

    def _held_head(self) -> Message:
        if self._head is None:
            raise NotHeldError(
                f"exchange {self.exchange.id} has already sent its headers, so they cannot be edited"
            )
        return self._head

    def can(self, order: Order) -> bool:
        """Return whether the order is valid now. No error status can be sent after the headers."""
        return not (isinstance(order, Abort) and order.status is not None and self.position > HEADERS)

    def schedule(self, order: Order) -> None:
        """Schedule the order. Raise `NotHeldError` if it is not valid now."""
        if not self.can(order):
            raise NotHeldError(
                f"exchange {self.exchange.id} has already sent its headers; abort it without a status"
            )
        if self._order is None or self._order.done():
            raise NotHeldError(f"exchange {self.exchange.id} is no longer held")
        self._order.set_result(order)

    def _check_breakpoints(self, head: Message) -> None:
        """Hold at the current position if a breakpoint matches the exchange."""
        breakpoint_ = self._gate.breakpoints.first_match(self.exchange, head["status"])
        if breakpoint_ is not None:
            self.hold(HEADERS, f"breakpoint {breakpoint_.expression}")
            self.exchange.add(BreakpointMatched(breakpoint_.expression))

    async def _pause(self) -> None:
        self._order = asyncio.get_running_loop().create_future()
        self.exchange.held_since, self.exchange.held_by = time.time(), self._by
        self.exchange.add(ResponseHeld(None if self.position <= HEADERS else self.position))
        self._gate.note_held(self)
        try:
            with self.pausing():
                order = await first_of(self._order, self._stream.disconnected())
        finally:
            self.exchange.held_since = self.exchange.held_by = None
            self._gate.note_released(self)
        await self._carry_out(order)

    async def _carry_out(self, order: Order) -> None:
        match order:
            case Resume():
                self.exchange.add(ResponseResumed())
                self._hold_at = None
            case Step(size):
                self.exchange.add(ResponseStepped(size))
                self._hold_at = max(0, self.position) + size
            case Abort(status):
                self.exchange.add(ResponseAborted())
                self._hold_at = None
                await self._abort(status)

    async def _abort(self, status: int | None) -> None:
        if status is None:
            end = End.RESET_STREAM if self.exchange.http_version == H2 else End.RST
            await self._send({"type": CUT, "end": end, "code": INTERNAL_ERROR})
        else:
            await respond_error(self._send, OCIError(status, ErrorCode.UNKNOWN, "Aborted while it was held"))
        raise ClientDisconnectedError


def _size(message: Message) -> int:
    """Return how many bytes of the body a message has; 0 if it cannot be split."""
    match message["type"]:
        case "http.response.body":
            return len(message.get("body", b""))
        case kind if kind == ZERO_COPY:
            count: int = message["count"]
            return count
    return 0


def _split(message: Message, size: int) -> tuple[Message, Message]:
    """Split a message into one with `size` bytes of the body and one with the rest."""
    if message["type"] == ZERO_COPY:
        rest = {**message, "offset": message["offset"] + size, "count": message["count"] - size}
        return {**message, "count": size, "more_body": True}, rest
    body = message["body"]
    return {**message, "body": body[:size], "more_body": True}, {**message, "body": body[size:]}
