"""The body of a request as it comes in: bounded in memory, and read to its end even if nobody wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from brokenreg.http.asgi import Message

_MOST_DROPPED = 64 * 1024 * 1024
"""Bytes of an unwanted body that are read before the response is sent anyway."""

_PATIENCE = 5.0
"""Seconds that the end of an unwanted body may take before the response is sent anyway."""


_JOINED = 1024
"""Bytes up to which small pieces are joined: each that waits costs memory of its own."""


class RequestBody:
    """What has arrived of one body and was not taken yet. The protocol feeds it, one reader takes from it.

    `taken` is called with the number of bytes that were taken or dropped: the protocol then lets the client
    send as many again. So the protocol bounds what waits here.

    `is_empty` says that the head announces an empty body, of which only the end has yet to come (an empty
    DATA frame of HTTP/2): no response waits for it.
    """

    waiting = 0
    """The number of bytes that have arrived and were not taken."""

    is_ended = False
    """True if all of it has arrived."""

    is_cut_short = False
    """True if the client ended its side of the connection before all of it had arrived."""

    is_over = False
    """True if nothing more arrives: it has ended, or the client has disconnected."""

    _is_lost = False
    _dropped: int | None = None
    """How many bytes were dropped, once nobody wants it."""

    def __init__(self, taken: Callable[[int], None], *, is_empty: bool = False) -> None:
        self.taken = taken
        self._chunks: list[bytes] = []
        self._news = asyncio.Event()
        self.is_empty = is_empty

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived; none of them are empty."""
        if self._dropped is not None:
            self._dropped += len(data)
            self.taken(len(data))
            if self._dropped <= _MOST_DROPPED:
                return
        else:
            self.waiting += len(data)
            if self._chunks and len(self._chunks[-1]) + len(data) <= _JOINED:
                self._chunks[-1] += data
            else:
                self._chunks.append(data)
        self._news.set()

    def end(self, *, is_cut_short: bool = False) -> None:
        """Note that nothing more arrives: this is its end, or the client has closed its sending side."""
        self.is_ended = self.is_over = True
        self.is_cut_short = is_cut_short
        self._news.set()

    def lose(self) -> None:
        """Note that the client has disconnected."""
        self._is_lost = self.is_over = True
        self._news.set()

    def take_all(self) -> list[bytes]:
        """Take what has arrived."""
        chunks, self._chunks = self._chunks, []
        self._take(self.waiting)
        return chunks

    def _take(self, size: int) -> None:
        self.waiting -= size
        if size:
            self.taken(size)

    async def receive(self) -> Message:
        """Receive as ASGI's `receive` does; what has arrived comes in one message."""
        while not (self._chunks or self.is_over):
            self._news.clear()
            await self._news.wait()
        if self._is_lost:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"".join(self.take_all()), "more_body": not self.is_ended}

    def drop(self) -> None:
        """Drop what has arrived, and all that will: nobody wants it.

        A connection whose client sends and is not read would never be seen to end; and one that is closed
        with unread bytes is reset, so that the client never sees the response.
        """
        if self._dropped is None:
            self._dropped = 0
            self.take_all()

    async def dropped(self) -> None:
        """Drop it, and wait for its end, up to a size and a time; the rest is dropped while we respond."""
        self.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not (self.is_empty or self.is_over or (self._dropped or 0) > _MOST_DROPPED):
                    self._news.clear()
                    await self._news.wait()
