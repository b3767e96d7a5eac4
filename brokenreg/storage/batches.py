"""Chunks on their way to a file: gathered, and written by a thread while the next ones come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from brokenreg.concurrency import shielded
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.quota import Room

_FIRST = 64 * 1024
"""Bytes after which the first batch is written: somebody may wait to read them."""

_BATCH = 512 * 1024
"""Bytes after which every other is: few enough to be soon there, enough to cost few changes of threads."""

_PATIENCE = 0.02
"""Seconds that a smaller one waits for more; a slow source is not held up for longer."""


class Batches:
    """Feeds `write`, which blocks and is called by one thread at a time, in order, once there is room.

    `written` is called on the loop after each batch that was written.
    """

    def __init__(self, room: Room, write: Callable[[bytes], None], written: Callable[[], None]) -> None:
        self._room = room
        self._write = write
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []
        self._size = 0
        self._enough = _FIRST
        self._writing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def add(self, chunk: bytes) -> None:
        """Take a chunk. Raise what `write` raised for those before it; nothing is written after that."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= self._enough:
            self._enough = _BATCH
            self._calm()  # before we wait: it must not begin another while we are about to
            await self._settle()
            await self._begin()
        elif self._timer is None:
            self._timer = self._loop.call_later(_PATIENCE, self._hurry)

    async def end(self) -> None:
        """Write what is left. Raise what `write` raised, or that we were cancelled, once no thread writes."""
        self._calm()
        await shielded(self._finish())

    async def _finish(self) -> None:
        await self._settle()
        if self._chunks:
            await self._begin()
            await self._settle()

    async def _settle(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def _begin(self) -> None:
        data = self._gathered()
        await self._room.take(len(data))
        self._start(data)

    def _gathered(self) -> bytes:
        data, self._chunks, self._size = b"".join(self._chunks), [], 0
        return data

    def _start(self, data: bytes) -> None:
        self._writing = FILE_THREADS.run(self._write, data)
        self._writing.add_done_callback(self._tell)

    def _hurry(self) -> None:
        """Nothing has come for a while, or not much: what there is shall not wait."""
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = self._loop.call_later(_PATIENCE, self._hurry)
        elif self._has_failed or not self._chunks:
            return
        elif self._room.quota.take(self._size):  # else whoever adds to it makes room, which takes time
            self._start(self._gathered())

    @property
    def _has_failed(self) -> bool:
        return self._writing is not None and self._writing.exception() is not None

    def _calm(self) -> None:
        """Let nothing be written for impatience."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, writing: asyncio.Future[None]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._written()
