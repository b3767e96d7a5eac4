"""`/v1/events`: a stream of exchange events (server-sent events, WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

import quart

from brokenreg.concurrency import background
from brokenreg.control.gathering import ALL_REPLICAS, replicas_of
from brokenreg.control.problems import APIError
from brokenreg.control.routes import APIRequest, Route
from brokenreg.fleet.errors import NoReplicaError
from brokenreg.fleet.event_streams import EventStreams
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
    """Stream the events `opened`, `held`, `hold-ended` and `ended` as they occur, each with its exchange.

    In a fleet, they are those of all replicas. `lost` means that those of a replica are missing from now on,
    until `joined`.
    """
    feed = _Feed(request.filtered(runtime.log.bodies))
    others = await _others(runtime, request, feed)
    await prepare_filter(runtime.log, request.query.filter or "", stays=True)
    stream = stream_of(dict(quart.request.scope))
    response = quart.Response(feed.lines(runtime, stream, others), content_type=EVENT_STREAM)
    response.timeout = None
    return response


async def _others(runtime: Runtime, request: APIRequest, feed: _Feed) -> EventStreams | None:
    """Return the streams of the other replicas that the request is about. Raise `APIError`."""
    wanted = request.query.replica
    if wanted is None:
        return None
    replicas = replicas_of(runtime)
    feed.own = replicas.own
    feed.is_of_own = wanted in (ALL_REPLICAS, replicas.own)
    if wanted == replicas.own:
        return None
    if wanted != ALL_REPLICAS and await replicas.directory.find(wanted) is None:
        error = NoReplicaError(wanted, [each.name for each in await replicas.directory.live()])
        raise APIError(404, str(error), field="replica", missing="replica")
    given = {name: value for name, value in quart.request.args.items() if name != "replica"}

    def target(replica: str) -> str:
        return f"/v1/events?{urlencode({**given, 'replica': replica})}"

    return EventStreams(replicas, target, feed, None if wanted == ALL_REPLICAS else wanted)


class _Feed:
    """The events that one reader has not been sent yet. `own` is the name of this replica in a fleet.

    It reads the streams of other replicas (an `EventReader`).
    """

    def __init__(self, matches: Callable[[Exchange], bool]) -> None:
        self._matches = matches
        self.own: str | None = None
        self.is_of_own = True
        """Whether the events of this replica belong to it."""
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._dropped = 0
        self._news = asyncio.Event()

    def notice(self, event: ExchangeEvent, exchange: Exchange) -> None:
        if not self._matches(exchange):
            return
        data, number = summary_json(exchange), str(exchange.id)
        if self.own is not None:
            data, number = f'{data[:-1]},"replica":"{self.own}"}}', f"{self.own}/{number}"
        self._put(f"event: {event}\nid: {number}\ndata: {data}\n\n".encode())

    def joined(self, replica: str) -> None:
        self._put(f'event: joined\ndata: {{"replica":"{replica}"}}\n\n'.encode())

    def received(self, replica: str, event: bytes) -> None:
        del replica  # which the event names
        self._put(event + b"\n\n")

    def lost(self, replica: str, reason: str) -> None:
        data = json.dumps({"replica": replica, "detail": reason})
        self._put(f"event: lost\ndata: {data}\n\n".encode())

    def _put(self, event: bytes) -> None:
        self._dropped += len(self._waiting) == _WAITING
        self._waiting.append(event)
        self._news.set()

    async def lines(
        self, runtime: Runtime, stream: Stream, others: EventStreams | None
    ) -> AsyncIterator[bytes]:
        """Yield the stream until the reader disconnects or the server stops."""
        events = ExchangeEvent if self.is_of_own else ()
        unsubscribe = runtime.log.subscribe(self.notice, *events)
        tasks = [self._part(runtime.stopping, stream), *([] if others is None else [others.run()])]
        try:
            async with background(*tasks):
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
        query=("namespace", "filter", "replica"),
        answer=str,
        answer_types=(EVENT_STREAM,),
        problems=(404,),
        gathers=True,
    ),
)
