"""Sends the file of an upload session to the object store while the file grows.

The file stays the only copy that is complete. Therefore whatever fails here can begin again from the file.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import time
from pathlib import Path

from brokenreg.concurrency import cancel
from brokenreg.oci.sizes import format_size
from brokenreg.storage.errors import ObjectStoreError
from brokenreg.storage.folder import FILE_THREADS
from brokenreg.storage.objects.memory_budget import MemoryBudget
from brokenreg.storage.objects.object_store import (
    AGAIN,
    MOST_PARTS,
    PART,
    ObjectBytes,
    ObjectStore,
    PartWriter,
)

logger = logging.getLogger(__name__)

_MOST = PART * MOST_PARTS
_CLOSING = 0.5
"""Seconds for ending uploads when brokenreg stops."""

_MEMORY = 64 * 1024 * 1024
"""Maximum number of bytes that all sessions have in memory, to send them."""

_TOGETHER = 4
"""Number of parts that one session sends in parallel."""


class SharedSending:
    """What all sessions share: the memory for parts, and the uploads that are being ended."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.memory = MemoryBudget(_MEMORY)
        self._ending: set[asyncio.Task[None]] = set()

    def end(self, sending: asyncio.Task[None] | None, writer: PartWriter) -> None:
        """End an upload in the background, because a store that is down needs many seconds for that."""
        task = asyncio.create_task(_end(sending, writer), name="ending an upload")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Wait a moment until all uploads have ended. The store's rule removes the others later."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=_CLOSING)
        await cancel(*self._ending)


async def _end(sending: asyncio.Task[None] | None, writer: PartWriter) -> None:
    """Remove what was sent. If the store is down, its rule for incomplete uploads removes it later."""
    if sending is not None:
        await cancel(sending)
    try:
        await writer.abort()
    except ObjectStoreError as error:
        logger.warning("%s", error)


class GrowingObject:
    """The object of one upload session. Its methods are called on the event loop."""

    def __init__(self, shared: SharedSending, key: str, path: Path | str) -> None:
        self._first_key = self._key = key
        self._completions = 0
        self._shared = shared
        self._path = path
        self._size = 0
        self._sent = 0
        self._writer: PartWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def grown(self, size: int) -> None:
        """Note that the file has `size` bytes, and send them if there are enough for a part."""
        self._size = size
        if size - self._sent >= PART and self._is_idle:
            self._task = asyncio.create_task(self._send_parts(), name=f"sending {self._key}")
            self._task.add_done_callback(_note_result)

    def shrink(self, size: int) -> None:
        """Forget the bytes after `size`, which will be removed from the file."""
        if self._sent > size or not self._is_idle:
            self.abort()
        self._size = min(self._size, size)

    async def complete(self, size: int) -> str:
        """Send the rest of the file, which has `size` bytes, make the object visible, and return its key.

        Raise `ObjectStoreError` if that fails twice, the second time from the beginning of the file.
        Either way, the next object begins anew under another key: the index may already have this one.
        """
        if size > _MOST:
            raise ObjectStoreError(
                f"the blob is too large ({format_size(size)}): use up to {format_size(_MOST)}"
            )
        self._size = size
        try:
            await self._complete_patiently()
            return self._key
        finally:
            self._completions += 1
            self._key = f"{self._first_key}-{self._completions}"

    async def _complete_patiently(self) -> None:
        until = time.monotonic() + AGAIN
        try:
            await self._complete()
        except ObjectStoreError as error:
            if time.monotonic() > until:
                raise
            logger.warning("%s; sending the blob again", error)
            await self._complete()

    def abort(self) -> None:
        """Remove what was sent, in the background. Sending can begin again immediately."""
        writer, task = self._writer, self._task
        self._begin_again()
        if writer is not None:
            self._shared.end(task, writer)
        elif task is not None:  # it has not begun
            task.cancel()

    def _begin_again(self) -> None:
        self._writer, self._task, self._sent = None, None, 0

    @property
    def _is_idle(self) -> bool:
        """Return whether the next part can be sent. After a failure, `complete` begins again."""
        task = self._task
        return task is None or (task.done() and not task.cancelled() and task.exception() is None)

    async def _complete(self) -> None:
        try:
            if self._task is not None:
                await self._task
                self._task = None
            if self._writer is None and self._size <= PART:
                async with self._shared.memory.reserved(self._size):
                    await self._shared.store.put(self._key, await self._read(self._size))
                return
            await self._send_parts()
            writer = self._open()
            rest = self._size - self._sent
            async with self._shared.memory.reserved(rest):
                await writer.write(await self._read(rest))
                await writer.complete(self._size)
            self._begin_again()
        except BaseException:
            self.abort()
            raise

    async def _send_parts(self) -> None:
        """Send all whole parts that the file has, some at a time."""
        writer = self._open()
        while (parts := (self._size - self._sent) // PART) > 0:
            count = min(parts, _TOGETHER) * PART
            async with self._shared.memory.reserved(count):
                await writer.write(await self._read(count))
                self._sent += count

    def _open(self) -> PartWriter:
        if self._writer is None:
            self._writer = self._shared.store.writer(self._key)
        return self._writer

    async def _read(self, count: int) -> ObjectBytes:
        """Return the next bytes of the file."""
        return await FILE_THREADS.run(_read, self._path, self._sent, count)


def _note_result(sending: asyncio.Task[None]) -> None:
    """Retrieve the exception, so that asyncio does not log it. `complete` raises it."""
    if not sending.cancelled():
        sending.exception()


def _read(path: Path | str, offset: int, count: int) -> ObjectBytes:
    """Return bytes in memory that is freed immediately after use. The heap would keep most of it."""
    if not count:
        return b""
    data = mmap.mmap(-1, count)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.preadv(descriptor, [data], offset) != count:
            raise OSError(f"{path} became shorter while it was sent")
    finally:
        os.close(descriptor)
    return data
