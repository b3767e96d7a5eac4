"""The ASGI middleware that opens an `Exchange` for each request and writes down what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from brokenreg.oci.resolution import Base
from brokenreg.oci.target import Endpoint, Target, parse_target
from brokenreg.traffic.bodies import BodyTap
from brokenreg.traffic.exchange import Ended, Exchange, Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.redaction import redact_headers, redact_line, redact_query, redact_target, user_of
from brokenreg.traffic.timeline_events import ExchangeEnded, HeadersSent, RequestBodyReceived, RequestReceived
from brokenreg.wire.asgi import (
    CUT,
    RAW,
    ZERO_COPY,
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    header,
    respond_plain,
)
from brokenreg.wire.connection_events import ConnectionCut
from brokenreg.wire.connection_middleware import Stream, stream_of

_HEALTH = "/healthz"
"""The path for probes. Their requests are not recorded, need no login, and no rule matches them."""

_HEALTH_HEADERS = {"content-type": "text/plain", "cache-control": "no-store"}
_EXCHANGE = "brokenreg.exchange"
_TARGET = "brokenreg.target"

REPLAY = b"x-brokenreg-replay"
"""Header with the id of the exchange whose request is repeated. It only marks the new exchange."""

_LONGEST_ID = 18

Classifier = Callable[[Target], bool]
"""Returns whether the blob of a target is the configuration of an image."""


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that records a request."""
    exchange: Exchange = scope[_EXCHANGE]
    return exchange


def target_of(scope: Scope) -> Target:
    """Return what a request is about, as it is served."""
    target: Target = scope[_TARGET]
    return target


def with_target(scope: Scope, target: Target) -> Scope:
    """Return a scope in which the request is about another target; the exchange keeps its own."""
    return {**scope, _TARGET: target}


class Recorder:
    """Records every exchange of one listener; `base` is what that listener resolves names against.

    `exchange_of` and `target_of` find the exchange and its target in the scope of the application inside.
    """

    def __init__(
        self,
        app: ASGIApp,
        log: TrafficLog,
        is_config: Classifier,
        base: Base,
        origin: Origin = Origin.REGISTRY,
        own_names: Iterable[str] = (),
    ) -> None:
        self._own_names = frozenset(name.lower() for name in own_names)
        self._app = app
        self._base = base
        self._origin = origin
        self._log = log
        self._is_config = is_config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _HEALTH:
            await respond_plain(send, 200, _HEALTH_HEADERS, b"ok\n")
            return
        stream = stream_of(scope)
        target = scope[_TARGET] = self._parse_target(scope)
        exchange = scope[_EXCHANGE] = self._open(scope, target, stream.connection.inbound.client)
        recording = _Recording(exchange, self._log, stream, receive, send)
        try:
            await self._app(scope, recording.receive, recording.send)
        finally:
            recording.close()

    def _parse_target(self, scope: Scope) -> Target:
        query = scope["query_string"].decode("latin-1")
        own = self._names_of(scope) if "ns=" in query else ()
        target = parse_target(scope["path"], query, own, self._base)
        if target.endpoint is Endpoint.LAYER and target.error is None:
            return target.refine(is_config=self._is_config(target))
        return target

    def _open(self, scope: Scope, target: Target, client: str) -> Exchange:
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        if target.error is not None:  # it may contain anything
            path, target = redact_line(path), redact_target(target)
        authorization = header(scope, b"authorization")
        exchange = Exchange(
            id=self._log.next_id(),
            method=scope["method"],
            path=path,
            query=redact_query(query) if query else "",
            http_version=scope["http_version"],
            scheme=scope["scheme"],
            client=client,
            target=target,
            user="" if authorization is None else user_of(authorization.decode("latin-1")),
            request_headers=redact_headers(scope["headers"]),
            started=time.time(),
            origin=self._origin,
        )
        replayed = header(scope, REPLAY)
        if replayed is not None and replayed.isdigit() and len(replayed) <= _LONGEST_ID:
            exchange.replay_of = int(replayed)
        exchange.add(RequestReceived())
        self._log.opened(exchange)
        return exchange

    def _names_of(self, scope: Scope) -> frozenset[str]:
        """Return the values of `ns` that name this registry: containerd sends the host of the request."""
        host = (header(scope, b"host") or b"").decode("latin-1").lower()
        return self._own_names | {host}


class _Recording:
    """Records one exchange while its messages pass."""

    def __init__(
        self, exchange: Exchange, log: TrafficLog, stream: Stream, receive: Receive, send: Send
    ) -> None:
        self._exchange = exchange
        self._log = log
        self._stream = stream
        self._receive = receive
        self._send = send
        self._complete = False
        self._bodies = BodyTap(exchange)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._exchange.request_bytes += len(message["body"])
            self._bodies.request(message["body"])
            if self._exchange.request_bytes and not message["more_body"]:
                self._exchange.add(RequestBodyReceived())
            self._log.changed(self._exchange)
        return message

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == ZERO_COPY:
            await self._send_file(message)
        else:
            await self._send(message)
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.response_headers = redact_headers(message["headers"])
            exchange.add(HeadersSent())
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
        """Send a part of a file. What was sent counts, even if the client disconnects in the middle.

        Over HTTP/1.1, no other response shares the connection.
        """
        connection = self._stream.connection
        before = connection.bytes_out
        try:
            await self._send(message)
        finally:
            self._exchange.response_bytes += connection.bytes_out - before

    def close(self) -> None:
        exchange = self._exchange
        if not self._complete and self._stream.is_gone and not self._stream.is_cut:
            # What Hypercorn has in its buffer was never sent.
            exchange.response_bytes = max(0, exchange.response_bytes - self._stream.connection.unsent)
        if self._stream.is_cut:
            exchange.ended = Ended.ABORTED
        elif self._complete or self._is_body_complete():
            exchange.ended = Ended.COMPLETE
        elif self._stream.is_gone and not self._stream.connection.is_cut:
            exchange.ended = Ended.DISCONNECTED
        else:
            exchange.ended = Ended.ABORTED
        exchange.add(ExchangeEnded())
        self._log.bodies.keep(exchange, self._bodies.kept())
        self._log.closed(exchange)

    def _is_body_complete(self) -> bool:
        """Return whether the whole announced body was sent: many clients disconnect immediately after it."""
        exchange = self._exchange
        if exchange.status is None:
            return False
        length = exchange.response_header("content-length")
        return exchange.method == "HEAD" or (length.isdigit() and exchange.response_bytes >= int(length))
