"""Timing faults: responses that are late, slow, or stop in the middle."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import ANY, BLOB, HTTP1, Fault, RespondingFault
from brokenreg.faults.catalogue.parameters import Duration, HeadersOrExtent, Size, bytes_of, ends_before
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import PACE, Message
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match

_SLICE = 0.02
"""Seconds of content that one slice of a throttled response holds."""

_LAG = 0.5
"""The largest delay, in seconds, that a paced response makes up for."""


class Timeout(RespondingFault):
    """Waits for `dur`, then responds with 408 (code TIMEOUT).

    Without `processed`, the registry does not see the request, so a push stores nothing.
    """

    name = "timeout"
    default_endpoint = "manifest"
    clients = "Docker sends HEAD and then GET, so a pull takes twice as long."
    example = "dur-2s"

    dur: Duration = Field(description="how long to wait", examples=["2s"])

    async def respond(self, context: FaultContext) -> None:
        await context.wait(self.dur)
        await context.respond_error(OCIError(408, ErrorCode.TIMEOUT, "Timeout duration has elapsed!"))

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        if "dur-" not in tag:
            # The predecessor's words, and what it does not say.
            return f"Tag missing duration: use for instance broken/{cls.name}:{cls.example}"
        return super().tag_problem(tag, problem)


class Latency(Fault):
    """Waits before the status line, then sends the usual response.

    A push is stored before the wait, so only its response is late. `form` selects how the delay is chosen:

    - `fixed`: always `dur`
    - `uniform`: between `min` and `dur`
    - `log-normal`: `dur` is the median; about two thirds of the delays are between `dur` divided by e^`sigma`
      and `dur` multiplied by e^`sigma`
    """

    name = "latency"
    default_endpoint = ANY
    clients = (
        "Clients with a timeout for headers fail. Docker waits 15 s for /v2/, and forever for everything "
        "else. containerd, skopeo and podman wait forever. Other Go programs often wait 10 to 30 s. helm "
        "had no timeout."
    )
    example = "dur-500ms"

    dur: Duration = Field(1.0, description="the delay: exact, maximum or median, depending on `form`")
    form: Literal["fixed", "uniform", "log-normal"] = Field("fixed", description="distribution of the delay")
    min: Duration = Field(0.0, description="minimum delay, for `uniform`")
    sigma: float = Field(0.5, ge=0, le=5, description="spread, for `log-normal`")

    async def apply(self, context: FaultContext) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await context.wait(self._delay(context))
            await context.send(message)

        await context.forward(send)

    def _delay(self, context: FaultContext) -> float:
        if self.form == "uniform":
            return context.random.uniform(min(self.min, self.dur), self.dur)
        if self.form == "log-normal":
            return self.dur * math.exp(context.random.gauss(0.0, self.sigma))
        return self.dur


class Stall(Fault):
    """Stops sending in the middle of the response, for `dur` or until the client disconnects.

    `at` is `headers` (not even the headers are sent before the stall) or a position in the body. After `dur`,
    the rest of the response follows.
    """

    name = "stall"
    default_endpoint = "layer"
    clients = (
        "Clients without a read timeout hang, among them Docker, containerd, skopeo and podman "
        "(containerd#11650, cri-o#6574, regclient#338)."
    )
    example = "at-64kib"

    at: HeadersOrExtent = Field("headers", description="where to stop: `headers`, or a position in the body")
    dur: Duration | None = Field(
        None, description="how long to stall; by default until the client disconnects"
    )

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return None if self.at == "headers" else ends_before(self.at, exchange, head)

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        if self.at != "headers" and match.method == "HEAD":
            return "a response to HEAD has no body; use at=headers"
        return super().conflict_reason(match, endpoints)

    async def apply(self, context: FaultContext) -> None:
        await _Stalled(self, context).run()


class _Stalled(ResponseFilter):
    def __init__(self, fault: Stall, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._left: int | None = None

    async def head(self, head: Head) -> None:
        if self._fault.at == "headers":
            await self._wait()
        else:
            self._left = bytes_of(self._fault.at, head.length)
        await self.context.send(head.message())

    async def body(self, data: bytes, *, more: bool) -> None:
        if self._left is None or len(data) <= self._left:
            self._left = None if self._left is None else self._left - len(data)
            await super().body(data, more=more)
            return
        if self._left:
            await super().body(data[: self._left], more=True)
        rest, self._left = data[self._left :], None
        await self._wait()
        await super().body(rest, more=more)

    async def _wait(self) -> None:
        await self.context.wait(self._fault.dur)


class Throttle(Fault):
    """Sends the body at `rate` bytes per second.

    The body is sent in slices of about 20 ms at absolute deadlines, so the rate is exact over the whole body.
    The first slice is sent immediately. Time during which the response is held or stalled does not count: the
    body then continues at the same rate.
    """

    name = "throttle"
    default_endpoint = BLOB
    methods = frozenset({"GET"})
    clients = "Clients with a deadline for the whole pull fail. Docker and podman wait forever."
    example = "rate-64kib"

    rate: Size = Field(64 * 1024, ge=1, description="bytes per second")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return ends_before(0, exchange, head)

    async def apply(self, context: FaultContext) -> None:
        await _Throttled(self, context).run()


class _Throttled(ResponseFilter):
    def __init__(self, fault: Throttle, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._slice = max(1, int(fault.rate * _SLICE))
        self._pace = _Pace(fault.rate, context)

    async def body(self, data: bytes, *, more: bool) -> None:
        view = memoryview(data)
        while view:
            # After a slow iteration of the event loop, send everything that is due in one slice.
            size = min(len(view), max(self._slice, self._pace.due() - self._pace.sent))
            await self._pace.until(self._pace.sent + size)
            await super().body(bytes(view[:size]), more=more or size < len(view))
            self._pace.sent += size
            view = view[size:]
        if not data:
            await super().body(data, more=more)


class Drip(Fault):
    """Sends the body or the headers byte by byte, with a delay of `every` between two bytes.

    `headers` includes the status line and is possible only over HTTP/1.1. Time during which the response is
    held or stalled does not count.
    """

    name = "drip"
    default_endpoint = "layer"
    methods = frozenset({"GET"})
    clients = "If the read timeout of a client restarts with each byte, the pull is slow but never fails."
    example = "what-headers_every-20ms"

    what: Literal["body", "headers"] = Field("body", description="what is sent byte by byte")
    every: Duration = Field(0.01, gt=0, description="time between two bytes")

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if self.what == "headers" and exchange.protocol != HTTP1:
            return f"{exchange.protocol} sends headers in one frame"
        return super().inapplicable_reason(exchange)

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return None if self.what == "headers" else ends_before(0, exchange, head)

    async def apply(self, context: FaultContext) -> None:
        await _Dripping(self, context).run()


class _Dripping(ResponseFilter):
    def __init__(self, fault: Drip, context: FaultContext) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._pace = _Pace(1 / fault.every, context)

    async def head(self, head: Head) -> None:
        pace = {PACE: self._fault.every} if self._fault.what == "headers" else {}
        await self.context.send(head.message(**pace))

    async def body(self, data: bytes, *, more: bool) -> None:
        if self._fault.what == "headers" or not data:
            await super().body(data, more=more)
            return
        for position in range(len(data)):
            await self._pace.until(self._pace.sent)
            await super().body(data[position : position + 1], more=more or position < len(data) - 1)
            self._pace.sent += 1
            await asyncio.sleep(0)  # without it, HTTP/2 would send several late bytes in one frame


class _Pace:
    """The schedule of a body that is sent at `rate` bytes per second; it starts with the first call.

    Deadlines are absolute, so the rate is exact over the whole body. Two kinds of delay move the schedule
    instead, because making up for them would exceed the rate: time during which the response is held or
    stalled (`FaultContext.clock` stops), and a lag of more than `_LAG` seconds, for example after a pause of
    the upstream or the client.
    """

    def __init__(self, rate: float, context: FaultContext) -> None:
        self.sent = 0
        """Bytes sent so far; the sender updates it."""
        self._rate = rate
        self._context = context
        self._began: float | None = None

    def due(self) -> int:
        """Return how many bytes of the body are due."""
        return int((self._context.clock() - self._start()) * self._rate)

    async def until(self, count: int) -> None:
        """Wait until that many bytes are due. Raise `ClientDisconnectedError` if the client disconnects."""
        await self._context.wait_until(self._start() + count / self._rate)

    def _start(self) -> float:
        """Return when the first byte was due, after moving the schedule if it lags too far."""
        now = self._context.clock()
        earliest = now - _LAG - self.sent / self._rate
        self._began = now if self._began is None else max(self._began, earliest)
        return self._began
