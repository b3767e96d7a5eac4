"""Sends parts of files in threads: with sendfile(2), or through TLS.

A thread sends as much as the socket accepts, and returns. The event loop then waits until there is room.
Therefore a slow disk does not block the event loop, and a slow client does not occupy a thread. Fast clients
use all processors, because the kernel does the work of a send in the thread that sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from ssl import SSLError
from typing import IO

from brokenreg.bulk.lent_socket import LentSocket
from brokenreg.concurrency import ThreadPool

_THREADS = ThreadPool("sendfile", max(2, os.cpu_count() or 1))
_BURST = 4 * 1024 * 1024
"""Maximum number of bytes that a thread sends before it serves another client."""

_CACHED_ONLY = getattr(os, "RWF_NOWAIT", None)
"""Flag of `preadv` that makes it read only what is in memory. Only Linux has it."""


class _Buffer(threading.local):
    """A buffer that all clients of an event loop share, so that it stays in the processor's cache.

    Each thread has its own, because several event loops of one process may read at the same time.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(512 * 1024))


_buffer = _Buffer()


async def read_part(file: IO[bytes], offset: int, count: int) -> bytes | memoryview:
    """Read up to `count` bytes, which are valid until the next `await`. Raise `OSError` at the file's end.

    A thread reads only if the kernel does not have the bytes in memory, because it takes half as long again.
    """
    if _CACHED_ONLY is not None:
        with contextlib.suppress(
            OSError
        ):  # the file system does not support the flag, or has nothing in memory
            size = os.preadv(file.fileno(), [_buffer.view[:count]], offset, _CACHED_ONLY)
            if size:
                return _buffer.view[:size]
    data = await _THREADS.run(os.pread, file.fileno(), count, offset)
    if not data:
        raise OSError("the file became shorter")
    return data


class FileSender:
    """Sends parts of files to one socket. `sent` counts the bytes that the kernel accepted.

    `stop` makes a running `send` raise `ConnectionError`.
    """

    def __init__(self, lent: LentSocket) -> None:
        self._lent = lent
        self._loop = asyncio.get_running_loop()
        self._room: asyncio.Future[None] | None = None
        self._is_stopped = False
        self.sent = 0

    async def send(self, file: IO[bytes], offset: int, count: int) -> None:
        """Send `count` bytes from `offset`.

        Raise `ConnectionError` if the client has disconnected, or `OSError` if the file cannot be read.
        """
        while self._lent.backlog and not self._is_stopped:
            await self._wait_for_room()
        while count and not self._is_stopped:
            burst = min(count, _BURST)
            try:
                sent = await _THREADS.run(self._lent.send_file, file.fileno(), offset, burst)
            except (TimeoutError, SSLError) as error:  # the network has failed, or TLS has ended
                raise ConnectionAbortedError from error
            self.sent += sent
            offset += sent
            count -= sent
            if sent < burst:
                await self._wait_for_room()
        if count:
            raise ConnectionAbortedError

    def stop(self) -> None:
        """Stop sending, because the client has disconnected."""
        self._is_stopped = True
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _wait_for_room(self) -> None:
        if self._is_stopped:
            return
        self._room = self._loop.create_future()
        self._loop.add_writer(self._lent.socket, _set, self._room)
        try:
            await self._room
        finally:
            self._loop.remove_writer(self._lent.socket)
            self._room = None


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
