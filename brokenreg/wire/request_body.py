"""The body of a request as it comes in: bounded in memory, and read to its end even if nobody wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from brokenreg.http.asgi import Message

_MOST_DROPPED = 64 * 1024 * 1024
"""Bytes of an unwanted body that are read before the response is sent anyway."""

_PATIENCE = 5.0
"""Seconds that the end of an unwanted body may take before the response is sent anyway."""


class RequestBody:
    """What has arrived of one body and was not taken yet. The protocol feeds it, one reader takes from it.

    `taken` is called with the number of bytes that were taken or dropped: the protocol then lets the client
    send as many again. So the protocol bounds what waits here.

    `is_empty` says that the head announces an empty body, of which only the end has yet to come (an empty
    DATA frame of HTTP/2): no response waits for it.
    """

    __slots__ = (
        "_chunks", "_is_dropped", "_is_lost", "_news", "_size", "_taken", "is_cut_short", "is_empty",
        "is_ended",
    )  # fmt: skip

    def __init__(self, taken: Callable[[int], None], *, is_empty: bool = False) -> None:
        self._taken = taken
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._is_dropped = False
        self._is_lost = False
        self._size = 0
        self.is_empty = is_empty
        self.is_ended = False
        """True if all of it has arrived."""
        self.is_cut_short = False
        """True if the client ended its side of the connection before all of it had arrived."""

    @property
    def waiting(self) -> int:
        """The number of bytes that have arrived and were not taken."""
        return self._size

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived; none of them are empty."""
        if self._is_dropped:
            self._size += len(data)  # of all that was dropped
            self._taken(len(data))
            if self._size > _MOST_DROPPED:
                self._news.set()
        else:
            self._size += len(data)
            self._chunks.append(data)
            self._news.set()

    def end(self, *, is_cut_short: bool = False) -> None:
        """Note that nothing more arrives: this is its end, or the client has closed its sending side."""
        self.is_ended = True
        self.is_cut_short = is_cut_short
        self._news.set()

    def lose(self) -> None:
        """Note that the client has disconnected."""
        self._is_lost = True
        self._news.set()

    def take_all(self) -> list[bytes]:
        """Take what has arrived: a thread will read the rest."""
        chunks, self._chunks = list(self._chunks), deque()
        size, self._size = self._size, 0
        if size:
            self._taken(size)
        return chunks

    async def receive(self) -> Message:
        """Receive as ASGI's `receive` does; what has arrived comes in one message for each read."""
        while not (self._chunks or self.is_ended or self._is_lost):
            self._news.clear()
            await self._news.wait()
        if self._is_lost:
            return {"type": "http.disconnect"}
        data = self._chunks.popleft() if self._chunks else b""
        self._size -= len(data)
        if data:
            self._taken(len(data))
        return {"type": "http.request", "body": data, "more_body": bool(self._chunks) or not self.is_ended}

    def drop(self) -> None:
        """Drop what has arrived, and all that will: nobody wants it.

        A connection whose client sends and is not read would never be seen to end; and one that is closed
        with unread bytes is reset, so that the client never sees the response.
        """
        if self._is_dropped:
            return
        self._is_dropped = True
        waiting, self._size = self._size, 0
        self._chunks.clear()
        if waiting:
            self._taken(waiting)

    async def dropped(self) -> None:
        """Drop it, and wait for its end, up to a size and a time; the rest is dropped while we respond."""
        self.drop()
        if self.is_empty:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not (self.is_ended or self._is_lost or self._size > _MOST_DROPPED):
                    self._news.clear()
                    await self._news.wait()
