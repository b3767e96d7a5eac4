"""The request's body on its way in: nobody need read it, and nothing hangs if nobody does."""

from __future__ import annotations

import asyncio
import contextlib

from brokenreg.wire.asgi import Message, Receive, Scope, header

_LIMIT = 64 * 1024 * 1024
_PATIENCE = 5.0
_BODILESS = ("GET", "HEAD", "DELETE")


class RequestBody:
    """Passes the messages of one request on, and reads to the end what the application left.

    Hypercorn hands messages over through a short queue. Left full, it would stop the connection for ever: the
    word that the client has left has no room in it. And a connection closed with unread bytes is reset, so
    that the client never sees the answer.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_read = asyncio.Event()
        self._rest: asyncio.Task[None] | None = None
        if scope["method"] in _BODILESS and not _announces_body(scope):
            self._is_read.set()

    async def receive(self) -> Message:
        """As ASGI's `receive`."""
        message = await self._receive()
        if message["type"] != "http.request" or not message["more_body"]:
            self._is_read.set()
        return message

    def discard(self) -> None:
        """Begin to read the rest and forget it."""
        if self._rest is None and not self._is_read.is_set():
            self._rest = asyncio.create_task(self._read_on())

    async def discarded(self) -> None:
        """Read the rest and forget it; what is beyond a bound of size and time, while the answer goes out."""
        if self._is_read.is_set():
            return
        self.discard()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._is_read.wait()

    def close(self) -> None:
        """The request is over."""
        if self._rest is not None:
            self._rest.cancel()

    async def _read_on(self) -> None:
        size = 0
        while True:
            message = await self.receive()
            size += len(message.get("body", b""))
            if size > _LIMIT:
                self._is_read.set()


def _announces_body(scope: Scope) -> bool:
    length = header(scope, b"content-length")
    return (length is not None and length != b"0") or header(scope, b"transfer-encoding") is not None
