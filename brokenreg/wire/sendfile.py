"""Parts of files, sent from kernel to kernel by threads.

A thread sends what the socket takes and comes back; the loop then waits until there is room. So a cold disk
stops no loop, a slow client holds no thread, and fast clients use all processors: what the kernel does for a
send, it does in the sender's time.
"""

from __future__ import annotations

import asyncio
import os
from typing import IO

from brokenreg.concurrency import ThreadPool

_THREADS = ThreadPool("sendfile", max(2, os.cpu_count() or 1))
_BURST = 4 * 1024 * 1024
"""Bytes that a thread sends at most before it is another client's turn."""


class FileSender:
    """Sends parts of files to one socket; `sent` counts the bytes that the kernel took.

    `stop` makes a `send` under way raise `ConnectionError`.
    """

    def __init__(self, socket: int) -> None:
        # Of our own: the connection's may be closed, and its number used anew, while a thread sends.
        self._socket = os.dup(socket)
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Future[None] | None = None
        self._is_stopped = False
        self.sent = 0

    async def send(self, file: IO[bytes], offset: int, count: int) -> None:
        """Send `count` bytes from `offset`. Raise `ConnectionError`, or `OSError` if the file is shorter."""
        while count and not self._is_stopped:
            burst = min(count, _BURST)
            sent = await _THREADS.run(_send_at_once, self._socket, file.fileno(), offset, burst)
            self.sent += sent
            offset += sent
            count -= sent
            if sent < burst:
                await self._wait_for_room()
        if count:
            raise ConnectionAbortedError

    def stop(self) -> None:
        """Give up: nobody reads any more."""
        self._is_stopped = True
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def close(self) -> None:
        """Let our hold on the socket go; not while a `send` is under way."""
        os.close(self._socket)

    async def _wait_for_room(self) -> None:
        if self._is_stopped:
            return
        self._room = self._loop.create_future()
        self._loop.add_writer(self._socket, _set, self._room)
        try:
            await self._room
        finally:
            self._loop.remove_writer(self._socket)
            self._room = None


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _send_at_once(socket: int, file: int, offset: int, count: int) -> int:
    """Send until done or until the socket is full; how much went."""
    total = 0
    while total < count:
        try:
            sent = os.sendfile(socket, file, offset + total, count - total)
        except BlockingIOError:
            break
        if not sent:
            raise OSError("the file is shorter than it was")
        total += sent
    return total
