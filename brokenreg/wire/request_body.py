"""The body of a request as it comes in. An unread body must not block the connection."""

from __future__ import annotations

import asyncio
import contextlib

from brokenreg.wire.asgi import Message, Receive

_LIMIT = 64 * 1024 * 1024
_PATIENCE = 5.0


class RequestBody:
    """Passes on the messages of one request, and reads to the end what the application leaves unread.

    Hypercorn passes messages through a short queue. If it stayed full, the connection would block
    permanently: the message that the client has disconnected would have no room. And a connection that is
    closed with unread bytes is reset, so that the client never sees the response.

    If the body `is_empty`, the response does not wait for its end.
    """

    def __init__(self, receive: Receive, *, is_empty: bool = False) -> None:
        self._receive = receive
        self._is_empty = is_empty
        self._is_read = asyncio.Event()
        self._rest: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """Receive as ASGI's `receive` does."""
        message = await self._receive()
        if message["type"] != "http.request" or not message["more_body"]:
            self._is_read.set()
        return message

    def discard(self) -> None:
        """Start to read the rest and drop it."""
        if self._rest is None and not self._is_read.is_set():
            self._rest = asyncio.create_task(self._read_on())

    async def discarded(self) -> None:
        """Read the rest and drop it; what exceeds a size and a time is dropped while the response is sent."""
        if self._is_read.is_set():
            return
        self.discard()
        if self._is_empty:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._is_read.wait()

    def close(self) -> None:
        """Note that the request has ended."""
        if self._rest is not None:
            self._rest.cancel()

    async def _read_on(self) -> None:
        size = 0
        while True:
            message = await self.receive()
            size += len(message.get("body", b""))
            if size > _LIMIT:
                self._is_read.set()
