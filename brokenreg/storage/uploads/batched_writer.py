"""Writes chunks that arrive on the event loop to a file, in batches and in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from brokenreg.concurrency import shielded
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.quota import Room

_FIRST_BATCH = 64 * 1024
"""Size of the first batch in bytes. It is small because clients may be waiting for it."""

_BATCH = 512 * 1024
"""Size of all other batches in bytes. It is large because each batch costs a switch between threads."""

_BATCH_DELAY = 0.02
"""Seconds after which a smaller batch is written."""


class BatchedWriter:
    """Calls `write`, which may block, in a thread with one batch after the other.

    Each batch waits until there is room for it. `written` is called on the event loop after each batch.
    """

    def __init__(self, room: Room, write: Callable[[bytes], None], written: Callable[[], None]) -> None:
        self._room = room
        self._write = write
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []
        self._size = 0
        self._enough = _FIRST_BATCH
        self._writing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def add(self, chunk: bytes) -> None:
        """Add a chunk. Raise the exception of `write` for an earlier chunk. Nothing is written after it."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= self._enough:
            self._enough = _BATCH
            self._cancel_timer()  # before waiting, so that it does not start another batch
            await self._wait_written()
            await self._write_batch()
        elif self._timer is None:
            self._timer = self._loop.call_later(_BATCH_DELAY, self._write_early)

    async def end(self) -> None:
        """Write the remaining chunks. Raise the exception of `write`, or else a cancellation."""
        self._cancel_timer()
        await shielded(self._finish())

    async def _finish(self) -> None:
        await self._wait_written()
        if self._chunks:
            await self._write_batch()
            await self._wait_written()

    async def _wait_written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)

    async def _write_batch(self) -> None:
        data = self._take_chunks()
        await self._room.take(len(data))
        self._start(data)

    def _take_chunks(self) -> bytes:
        data, self._chunks, self._size = b"".join(self._chunks), [], 0
        return data

    def _start(self, data: bytes) -> None:
        self._writing = FILE_THREADS.run(self._write, data)
        self._writing.add_done_callback(self._notify)

    def _write_early(self) -> None:
        """Write a small batch, because a full one has not arrived in time."""
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._timer = self._loop.call_later(_BATCH_DELAY, self._write_early)
        elif self._has_failed or not self._chunks:
            return
        elif self._room.quota.take(self._size):  # or else the next `add` makes room, which takes time
            self._start(self._take_chunks())

    @property
    def _has_failed(self) -> bool:
        return self._writing is not None and self._writing.exception() is not None

    def _cancel_timer(self) -> None:
        """Cancel the timer for a small batch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _notify(self, writing: asyncio.Future[None]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._written()
