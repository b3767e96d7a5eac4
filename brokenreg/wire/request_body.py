"""The body of a request while it arrives: limited in memory, and read to its end even if it is not used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from brokenreg.http.asgi import Message

_MOST_DROPPED = 64 * 1024 * 1024
"""Maximum number of bytes of an unused body that are read before the response is sent."""

_PATIENCE = 5.0
"""Maximum number of seconds to wait for the end of an unused body before the response is sent."""


_JOINED = 1024
"""Maximum size of joined pieces, in bytes. Small pieces are joined because each needs additional memory."""


class RequestBody:
    """The part of a body that has arrived and was not taken. The protocol feeds it, and one reader takes it.

    `taken` is called with the number of bytes that were taken or dropped. Then the protocol lets the client
    send as many more, so that it limits the waiting bytes.

    `is_empty` means that the head announces an empty body, whose end has not arrived yet (an empty DATA frame
    of HTTP/2). No response waits for that.
    """

    waiting = 0
    """The number of bytes that have arrived and were not taken."""

    is_ended = False
    """True if the whole body has arrived."""

    is_cut_short = False
    """True if the client closed its sending side before the whole body had arrived."""

    is_over = False
    """True if nothing more arrives, because the body has ended or the client has disconnected."""

    _is_lost = False
    _dropped: int | None = None
    """The number of dropped bytes, or None if the body is not dropped."""

    def __init__(self, taken: Callable[[int], None], *, is_empty: bool = False) -> None:
        self.taken = taken
        self._chunks: list[bytes] = []
        self._news = asyncio.Event()
        self.is_empty = is_empty

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived. `data` is not empty."""
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
        """Note that nothing more arrives, because of the body's end or because the client closed its side."""
        self.is_ended = self.is_over = True
        self.is_cut_short = is_cut_short
        self._news.set()

    def lose(self) -> None:
        """Note that the client has disconnected."""
        self._is_lost = self.is_over = True
        self._news.set()

    def take_all(self) -> list[bytes]:
        """Take the bytes that have arrived."""
        chunks, self._chunks = self._chunks, []
        self._take(self.waiting)
        return chunks

    def _take(self, size: int) -> None:
        self.waiting -= size
        if size:
            self.taken(size)

    async def receive(self) -> Message:
        """Receive as ASGI's `receive` does. All bytes that have arrived are in one message."""
        while not (self._chunks or self.is_over):
            self._news.clear()
            await self._news.wait()
        if self._is_lost:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"".join(self.take_all()), "more_body": not self.is_ended}

    def drop(self) -> None:
        """Drop the bytes that have arrived and all later ones, because the body is not used.

        Without reading, the end of the connection would not be noticed. Closing a connection with unread
        bytes would reset it, so that the client would not get the response.
        """
        if self._dropped is None:
            self._dropped = 0
            self.take_all()

    async def dropped(self) -> None:
        """Drop the body and wait for its end, up to a size and a time. Drop the rest during the response."""
        self.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not (self.is_empty or self.is_over or (self._dropped or 0) > _MOST_DROPPED):
                    self._news.clear()
                    await self._news.wait()
