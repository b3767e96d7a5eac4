"""The context in which a fault is applied to an exchange, and filters for its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from brokenreg.faults.registry_view import RegistryView
from brokenreg.faults.response_head import Head
from brokenreg.faults.rule_memory import RuleMemory
from brokenreg.gate.passage import Passage
from brokenreg.http.asgi import (
    CUT,
    RAW,
    ZERO_COPY,
    ClientDisconnectedError,
    End,
    Handler,
    Message,
    Receive,
    Scope,
    Send,
    complete,
    requested_host,
)
from brokenreg.oci.errors import OCIError
from brokenreg.registry.responses import Headers, ready_response, respond_error
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.timeline_events import FaultDelay, FaultHadNoEffect, FaultNote
from brokenreg.wire.stream import Stream, stream_of


@dataclass(slots=True)
class FaultContext:
    """An exchange to which a fault is applied, and everything that the fault may do to it.

    `handler` is the registry, or the next fault of the same exchange. `draw` has 64 bits that depend on the
    seed and on the request.
    """

    name: str
    exchange: Exchange
    scope: Scope
    receive: Receive
    send: Send
    handler: Handler
    passage: Passage
    registry_view: RegistryView
    memory: RuleMemory
    """What the faults of the rule remember."""
    draw: int
    note_no_effect: Callable[[], None]
    """Reports to the rule that the fault has no effect."""
    _random: Random | None = field(default=None, init=False)

    @property
    def stream(self) -> Stream:
        return stream_of(self.scope)

    @property
    def base_url(self) -> str:
        """Return the URL of the registry under the host that the client requested, without a path."""
        host, port = requested_host(self.scope)
        return f"{self.scope['scheme']}://{host}" + ("" if port is None else f":{port}")

    @property
    def random(self) -> Random:
        """Return a generator whose numbers are the same in two runs with the same seed."""
        if self._random is None:
            self._random = Random(self.draw)  # noqa: S311 - the numbers must be repeatable
        return self._random

    async def forward(
        self, send: Send | None = None, *, scope: Scope | None = None, receive: Receive | None = None
    ) -> None:
        """Let the registry or the next fault respond, to `send` or, by default, to the client."""
        await complete(self.handler(scope or self.scope, receive or self.receive), send or self.send)

    async def carry_out(self) -> None:
        """Let the registry carry out the request, and drop its response."""
        status = 0

        async def drop(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        await self.forward(drop)
        self.note(f"the registry carried out the request, and its response (status {status}) was dropped")

    async def forward_changed(
        self, change: Callable[[Head], None], *, scope: Scope | None = None, receive: Receive | None = None
    ) -> None:
        """Let the registry respond, and apply `change` to the status and headers."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                head = Head(message)
                change(head)
                message = head.message()
            await self.send(message)

        await self.forward(send, scope=scope, receive=receive)

    async def forward_noting(self, note: Callable[[Head], Awaitable[None]]) -> None:
        """Let the registry respond, and call `note` before the client gets the status and headers."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await note(Head(message))
            await self.send(message)

        await self.forward(send)

    async def fetch(self, *, scope: Scope | None = None) -> tuple[Head, bytes]:
        """Return the registry's response instead of sending it; only for documents, which fit in memory.

        If another fault cuts this response, the client gets what was sent before the cut, and the cut. This
        method then raises `ClientDisconnectedError`, because no other response can follow.
        """
        kept: list[Message] = []
        is_cut = False

        async def keep(message: Message) -> None:
            nonlocal is_cut
            if message["type"] in ("http.response.start", "http.response.body") and not is_cut:
                kept.append(message)
                return
            is_cut = True
            for earlier in kept:
                await self.send(earlier)
            kept.clear()
            await self.send(message)

        await self.forward(keep, scope=scope)
        if not kept:
            raise ClientDisconnectedError
        start, *parts = kept
        return Head(start), b"".join(part.get("body", b"") for part in parts)

    async def send_response(self, head: Head, body: bytes) -> None:
        """Send a complete response, usually one that `fetch` returned."""
        await self.send(head.message())
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    async def wait(self, seconds: float | None = None) -> None:
        """Wait that many seconds, or until the client disconnects if `seconds` is None.

        Raise `ClientDisconnectedError` if the client disconnects. `clock` stops during the wait, so that a
        fault that paces the body does not make up for it.
        """
        if self.exchange.ended is None:
            self.exchange.add(FaultDelay(self.name, seconds))
        with self.passage.pausing():
            await self.stream.wait(seconds)

    def clock(self) -> float:
        """Return seconds on the clock that paces the response; it stops while the response waits."""
        return self.passage.clock()

    async def wait_until(self, due: float) -> None:
        """Wait until `clock` reaches `due`. Raise `ClientDisconnectedError` if the client disconnects."""
        delay = due - self.clock()
        if delay > 0:
            await self.stream.wait(delay)
        elif self.stream.is_gone:
            raise ClientDisconnectedError

    async def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Respond in place of the registry."""
        await complete(ready_response(status, headers, body), self.send)

    async def respond_error(self, error: OCIError) -> None:
        """Respond in place of the registry with an error in OCI format."""
        await respond_error(self.send, error)

    async def write(self, data: bytes, *, body: int = 0) -> None:
        """Send bytes without framing; `body` of them count as content. A `cut` must follow."""
        await self.send({"type": RAW, "data": data, "body": body})

    async def cut(self, end: End, *, code: int = 0) -> None:
        """End the stream or connection as `end` says; `code` is the error code in HTTP/2."""
        await self.send({"type": CUT, "end": end, "code": code})

    def note(self, what: str) -> None:
        """Record in the exchange's timeline what the fault did."""
        self.exchange.add(FaultNote(self.name, what))

    def mark_wrong_bytes(self) -> None:
        """Record that the body has other bytes than the registry would send."""
        self.exchange.has_wrong_bytes = self.exchange.method != "HEAD"

    def no_effect(self, reason: str) -> None:
        """Record that the fault changes nothing, so that it does not count as applied."""
        self.note_no_effect()
        names = list(self.exchange.faults or (self.name,))
        names.remove(self.name)
        self.exchange.faults = tuple(names)
        if not names:
            self.exchange.rule = None
        self.exchange.add(FaultHadNoEffect(self.name, reason))


NoEffectReason = Callable[[Exchange, Head], str | None]
"""Returns why a fault would have no effect on a response with that head, or None."""


class ResponseFilter:
    """Filters the response of one exchange. A fault overrides `head` and `body` to change them.

    `no_effect_reason` is the method of the fault. If it returns a reason, the response is sent unchanged.
    So is everything after a call of `pass_through`.
    """

    def __init__(self, context: FaultContext, no_effect_reason: NoEffectReason | None = None) -> None:
        self.context = context
        self._passes_through = False
        self._no_effect_reason = no_effect_reason

    async def run(self) -> None:
        """Let the registry respond through this filter, with bodies as bytes instead of files."""
        extensions = {
            key: value for key, value in self.context.scope["extensions"].items() if key != ZERO_COPY
        }
        scope = {**self.context.scope, "extensions": extensions}
        await self.context.forward(self._send, scope=scope)

    async def head(self, head: Head) -> None:
        """Send the status and headers."""
        await self.context.send(head.message())

    async def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body; `more` is false for the last one."""
        await self.context.send({"type": "http.response.body", "body": data, "more_body": more})

    def pass_through(self, reason: str) -> None:
        """Send the rest of the response unchanged, because the fault has no effect on it."""
        self._passes_through = True
        self.context.no_effect(reason)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._passes_through or kind not in ("http.response.start", "http.response.body"):
            await self.context.send(message)
        elif kind == "http.response.start":
            head = Head(message)
            reason = self._no_effect_reason(self.context.exchange, head) if self._no_effect_reason else None
            if reason is not None:
                self.pass_through(reason)
                await self.context.send(message)
            else:
                await self.head(head)
        else:
            await self.body(message.get("body", b""), more=message.get("more_body", False))
