"""Opens an `Exchange` for each request, and records its response."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import lru_cache
from typing import Any

from brokenreg.bulk.lent_socket import LentBody
from brokenreg.http.asgi import (
    CUT,
    RAW,
    ZERO_COPY,
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    Scope,
    complete,
    header,
)
from brokenreg.listening.connection_events import ConnectionCut
from brokenreg.oci.resolution import Base
from brokenreg.oci.target import Endpoint, Target, parse_target
from brokenreg.traffic.bodies import BodyTap
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.pages import NO_PAGES, Page, pages_with_health
from brokenreg.traffic.redaction import redact_headers, redact_line, redact_query, redact_target
from brokenreg.traffic.request_head import read_head
from brokenreg.traffic.timeline import Timeline
from brokenreg.traffic.timeline_events import (
    EXCHANGE_ENDED,
    HEADERS_SENT,
    REQUEST_RECEIVED,
    RequestBodyReceived,
)
from brokenreg.wire.stream import Stream

_CACHED = 1024
"""Maximum number of paths whose target is cached."""

_LONGEST_CACHED = 512
"""Maximum length of a path and query whose target is cached, in characters."""

_UPLOAD = "/blobs/uploads/"
"""A part of paths that are not cached, because each upload has its own path."""

_EXCHANGE = "brokenreg.exchange"
_TARGET = "brokenreg.target"
_RECORDING = "brokenreg.recording"

Classifier = Callable[[Target], bool]
"""Returns whether the blob of a target is the configuration of an image."""


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that records a request."""
    exchange: Exchange = scope[_EXCHANGE]
    return exchange


def target_of(scope: Scope) -> Target:
    """Return the target of a request, as it is served."""
    target: Target = scope[_TARGET]
    return target


@contextlib.asynccontextmanager
async def lent_body(scope: Scope, receive: Receive) -> AsyncIterator[RecordedBody | None]:
    """Lend the rest of a request's body to a thread within the block. Yield None if that is not possible.

    It is not possible if code wraps the recorder's `receive`, because that code would not see the body.
    """
    recording: _Recording = scope[_RECORDING]
    source = await recording.stream.lend_body() if receive == recording.receive else None
    if source is None:
        yield None
        return
    body = RecordedBody(source, recording)
    try:
        yield body
    finally:
        body.note_progress()
        recording.stream.take_back_body(source)


def with_target(scope: Scope, target: Target) -> Scope:
    """Return a scope with another target. The exchange keeps its own."""
    return {**scope, _TARGET: target}


class Recorder:
    """Records every exchange of one listener. `base` defines how the listener resolves names.
    `pages` are those whose requests are not recorded, by path.

    `exchange_of` and `target_of` find the exchange and its target in the scope that `handler` gets.
    """

    def __init__(
        self,
        handler: Handler,
        log: TrafficLog,
        is_config: Classifier,
        base: Base,
        origin: Origin = Origin.REGISTRY,
        own_names: Iterable[str] = (),
        pages: Mapping[str, Page] = NO_PAGES,
    ) -> None:
        self._pages = pages_with_health(pages)
        self._own_names = frozenset(name.lower() for name in own_names)
        self._handler = handler
        self._base = base
        self._origin = origin
        self._log = log
        self._is_config = is_config
        self._parse_cached = lru_cache(_CACHED)(self._parse)

    def answer(self, stream: Stream) -> Coroutine[Any, Any, None] | None:
        """Respond to a request immediately, or return a coroutine that does."""
        scope = stream.scope
        page = self._pages.get(scope["path"])
        if page is not None and (response := page(scope)) is not None:
            return _answer(response, stream)
        target = scope[_TARGET] = self._parse_target(scope)
        exchange = scope[_EXCHANGE] = self._exchange(scope, target, stream.inbound.client)
        recording = scope[_RECORDING] = _Recording(exchange, self._log, stream)
        try:
            handled = self._handler(scope, recording.receive)
            if isinstance(handled, ReadyResponse) and stream.can_respond(len(handled.body)):
                status, headers, body = handled
                stream.respond(status, headers, body)
                self._log.answered(exchange, status, redact_headers(headers), body)
                return None
        except BaseException:
            recording.open()
            recording.close()
            raise
        recording.open()
        return recording.complete(handled)

    def _parse_target(self, scope: Scope) -> Target:
        path, query = scope["path"], scope["query_string"]
        if b"ns=" in query or len(path) + len(query) > _LONGEST_CACHED or _UPLOAD in path:
            target = parse_target(path, query.decode("latin-1"), self._names_of(scope), self._base)
        else:
            target = self._parse_cached(path, query)
        if target.endpoint is Endpoint.LAYER and target.error is None:
            return target.refine(is_config=self._is_config(target))
        return target

    def _parse(self, path: str, query: bytes) -> Target:
        return parse_target(path, query.decode("latin-1"), base=self._base)

    def _exchange(self, scope: Scope, target: Target, client: str) -> Exchange:
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        if target.error is not None:  # an invalid path may contain secrets anywhere
            path, target = redact_line(path), redact_target(target)
        head = read_head(scope)
        return Exchange(
            self._log.next_id(), scope["method"], path, redact_query(query) if query else "",
            scope["http_version"], scope["scheme"], client, target, head.user, head.headers, time.time(),
            origin=self._origin, replay_of=head.replay_of, timeline=Timeline(REQUEST_RECEIVED),
        )  # fmt: skip

    def _names_of(self, scope: Scope) -> frozenset[str]:
        """Return the values of `ns` that stand for this registry: containerd sends the request's host."""
        host = (header(scope, b"host") or b"").decode("latin-1").lower()
        return self._own_names | {host}


class RecordedBody:
    """A body that a thread reads from `source`. `note_progress` counts the read bytes for the exchange."""

    def __init__(self, source: LentBody, recording: _Recording) -> None:
        self.source = source
        self._recording = recording
        self._noted = 0

    def note_progress(self) -> None:
        """Count the bytes that were read since the last call."""
        received = self.source.received
        self._recording.count_received(received - self._noted, is_last=self.source.is_complete)
        self._noted = received


class _Recording:
    """Records one exchange while its messages pass."""

    __slots__ = ("_bodies", "_complete", "_exchange", "_log", "stream")

    def __init__(self, exchange: Exchange, log: TrafficLog, stream: Stream) -> None:
        self._exchange = exchange
        self._log = log
        self.stream = stream
        self._complete = False

    def open(self) -> None:
        """Add the exchange to the log, because its response is not ready."""
        self._bodies = BodyTap(self._exchange)
        self._log.opened(self._exchange)

    async def complete(self, handled: Handled) -> None:
        """Let the handler respond, and record the response until its end."""
        try:
            await complete(handled, self.send)
        finally:
            self.close()

    async def receive(self) -> Message:
        message = await self.stream.receive()
        if message["type"] == "http.request":
            self._bodies.request(message["body"])
            self.count_received(len(message["body"]), is_last=not message["more_body"])
        return message

    def count_received(self, count: int, *, is_last: bool) -> None:
        """Note that `count` bytes of the request's body were read."""
        self._exchange.request_bytes += count
        if is_last and self._exchange.request_bytes:
            self._exchange.add(RequestBodyReceived())
        self._log.changed(self._exchange)

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == ZERO_COPY:
            await self._send_file(message)
        else:
            await self.stream.send(message)
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.response_headers = redact_headers(message["headers"])
            exchange.add(HEADERS_SENT)
        elif message["type"] == "http.response.body":
            if exchange.method != "HEAD":
                exchange.response_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        elif message["type"] == RAW:
            exchange.response_bytes += message["body"]
        elif message["type"] == CUT:
            exchange.add(ConnectionCut(message["end"]))
        self._bodies.response(message)
        self._log.changed(exchange)

    async def _send_file(self, message: Message) -> None:
        """Send a part of a file. Sent bytes are counted even if the client disconnects in the middle."""
        before = self.stream.file_bytes
        try:
            await self.stream.send(message)
        finally:
            self._exchange.response_bytes += self.stream.file_bytes - before

    def close(self) -> None:
        exchange = self._exchange
        if not self._complete and self.stream.is_gone and not self.stream.is_cut:
            exchange.response_bytes = max(0, exchange.response_bytes - self.stream.unsent)
        if self.stream.is_cut:
            exchange.ended = Ended.ABORTED
        elif self._complete or self._is_body_complete():
            exchange.ended = Ended.COMPLETE
        elif self.stream.is_gone and not self.stream.is_connection_cut:
            exchange.ended = Ended.DISCONNECTED
        else:
            exchange.ended = Ended.ABORTED
        exchange.add(EXCHANGE_ENDED)
        self._log.bodies.keep(exchange, self._bodies.kept())
        self._log.closed(exchange)

    def _is_body_complete(self) -> bool:
        """Return whether the announced body was sent. Many clients disconnect immediately after it."""
        exchange = self._exchange
        if exchange.status is None:
            return False
        length = exchange.response_header("content-length")
        return exchange.method == "HEAD" or (length.isdigit() and exchange.response_bytes >= int(length))


def _answer(response: ReadyResponse, stream: Stream) -> Coroutine[Any, Any, None] | None:
    """Send a response without an exchange."""
    if not stream.can_respond(len(response.body)):
        return complete(response, stream.send)
    stream.respond(*response)
    return None
