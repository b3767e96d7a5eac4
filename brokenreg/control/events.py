"""`/v1/events`: a stream of exchange events (server-sent events, WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import quart

from brokenreg.concurrency import background
from brokenreg.control.routes import APIRequest, Route
from brokenreg.runtime.preparation import prepare_filter
from brokenreg.runtime.runtime import Runtime
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.exchange_json import summary_json
from brokenreg.traffic.log import ExchangeEvent
from brokenreg.wire.stream import Stream, stream_of

EVENT_STREAM = "text/event-stream"

_WAITING = 1000
"""Maximum number of events that wait for a slow reader. Beyond that, the oldest are dropped."""

_KEEPALIVE = 15.0
"""Seconds without an event after which a comment is sent, to detect a dead connection."""

_PARTING = 0.1
"""Seconds that a reader has to read the remaining events when the server stops."""


async def stream_events(runtime: Runtime, request: APIRequest) -> quart.Response:
    """Stream the events `opened`, `held`, `hold-ended` and `ended` as they occur, each with its exchange."""
    feed = _Feed(request.filtered(runtime.log.bodies))
    await prepare_filter(runtime.log, request.query.filter or "", stays=True)
    stream = stream_of(dict(quart.request.scope))
    response = quart.Response(feed.lines(runtime, stream), content_type=EVENT_STREAM)
    response.timeout = None
    return response


class _Feed:
    """The events that one reader has not been sent yet."""

    def __init__(self, matches: Callable[[Exchange], bool]) -> None:
        self._matches = matches
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._dropped = 0
        self._news = asyncio.Event()

    def notice(self, event: ExchangeEvent, exchange: Exchange) -> None:
        if not self._matches(exchange):
            return
        self._dropped += len(self._waiting) == _WAITING
        data = summary_json(exchange)
        self._waiting.append(f"event: {event}\nid: {exchange.id}\ndata: {data}\n\n".encode())
        self._news.set()

    async def lines(self, runtime: Runtime, stream: Stream) -> AsyncIterator[bytes]:
        """Yield the stream until the reader disconnects or the server stops."""
        unsubscribe = runtime.log.subscribe(self.notice, *ExchangeEvent)
        try:
            async with background(self._part(runtime.stopping, stream)):
                yield b": events of exchanges: opened, held, hold-ended, ended\n\n"
                while not runtime.stopping.is_set():
                    try:
                        async with asyncio.timeout(_KEEPALIVE):
                            await self._news.wait()
                    except TimeoutError:
                        yield b":\n\n"
                        continue
                    self._news.clear()
                    yield self._take()
        finally:
            unsubscribe()

    async def _part(self, stopping: asyncio.Event, stream: Stream) -> None:
        """End the stream when the server stops, even if the reader does not read it."""
        await stopping.wait()
        self._news.set()
        await asyncio.sleep(_PARTING)
        stream.abort()

    def _take(self) -> bytes:
        taken = b"".join(self._waiting)
        self._waiting.clear()
        if self._dropped:
            taken = f'event: dropped\ndata: {{"events":{self._dropped}}}\n\n'.encode() + taken
            self._dropped = 0
        return taken


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        stream_events,
        query=("namespace", "filter"),
        answer=str,
        answer_types=(EVENT_STREAM,),
    ),
)
