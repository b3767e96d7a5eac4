"""Writes content to a file while more of it arrives: one thread reads a source and writes, another hashes.

The event loop only learns how far it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Protocol

from brokenreg.concurrency import ThreadPool, shielded

_SLOTS = 8
"""Maximum number of concurrent pipelined writers."""

_BUFFER = 256 * 1024
"""Size of a buffer in bytes: what one thread has written must still be in the cache for the other."""

_BUFFERS = 8
_STEP = 4 * 1024 * 1024
"""Bytes after which the event loop is notified, if there is no pause."""

_PAUSE = 0.002
"""Seconds without a byte after which a partly filled buffer is written."""

_THREADS = ThreadPool("writers", 2 * _SLOTS)
_FREE_SLOTS = threading.BoundedSemaphore(_SLOTS)


class Source(Protocol):
    """A source of bytes. One thread reads it; only `stop` is called by another."""

    def read_into(self, buffer: memoryview) -> int | None:
        """Read available bytes; return their number, 0 at the end, or None if none are available yet."""

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes or the end; False after `seconds` without. None waits as long as the source allows.

        Raise what the source chooses after that time.
        """

    def stop(self) -> None:
        """Make `read_into` or `wait` return soon."""


@contextlib.contextmanager
def writer_slot() -> Iterator[bool]:
    """Reserve the threads of a pipelined writer within the block; False if none are free.

    Nobody waits for a slot, because slow sources keep theirs for a long time.
    """
    is_free = _FREE_SLOTS.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _FREE_SLOTS.release()


class PipelinedWriter:
    """Calls `write` and then `digest` with all bytes of `source`; both block. Use it in a `writer_slot`.

    `written` is called on the event loop when more was written.
    """

    def __init__(
        self,
        source: Source,
        write: Callable[[memoryview], None],
        digest: Callable[[memoryview], None],
        written: Callable[[], None],
    ) -> None:
        self._source = source
        self._write = write
        self._digest = digest
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._unreported = 0
        self._failure: Exception | None = None
        self._hash_failure: Exception | None = None

    async def run(self) -> None:
        """Write everything until the end of the source. Raise what the source, `write` or `digest` raised.

        If the source or `write` fails, the bytes written before that are hashed.
        """
        failure = await self._run_threads()
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # it refers to this frame, and the frame to it

    async def _run_threads(self) -> BaseException | None:
        """Write everything, and return what failed."""
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(_BUFFER)))
        hashing, reading = _THREADS.run(self._hash_all), _THREADS.run(self._read_all)
        both = asyncio.gather(reading, hashing, return_exceptions=True)
        try:
            read_failure, _ = await shielded(both, stop=self._source.stop)
        finally:
            self._written()
        failure = read_failure or self._hash_failure
        self._failure = self._hash_failure = None
        return failure

    def _read_all(self) -> None:
        try:
            while self._hash_failure is None and self._read_some(self._free.get()):
                pass
        finally:
            self._full.put(None)
        if self._failure is not None:
            raise self._failure

    def _read_some(self, buffer: memoryview) -> bool:
        """Fill a buffer until it is full or the source pauses; return whether there may be more."""
        count, is_open = 0, True
        while count < len(buffer) and is_open:
            try:
                received = self._source.read_into(buffer[count:])
                if received is not None:
                    count, is_open = count + received, received > 0
                elif not self._source.wait(_PAUSE):
                    if count:
                        break
                    self._notify()
                    self._source.wait(None)
            except Exception as error:  # noqa: BLE001 - raised after the bytes before it are written
                self._failure, is_open = error, False
        if count:
            self._store(buffer, count)
        return is_open

    def _store(self, buffer: memoryview, count: int) -> None:
        self._write(buffer[:count])
        self._full.put((buffer, count))
        self._unreported += count
        if self._unreported >= _STEP:
            self._notify()

    def _notify(self) -> None:
        if self._unreported:
            self._unreported = 0
            self._loop.call_soon_threadsafe(self._written)

    def _hash_all(self) -> None:
        while (filled := self._full.get()) is not None:
            buffer, count = filled
            try:
                self._digest(buffer[:count])
            except Exception as error:  # noqa: BLE001 - raised by `run`; the reader waits for the buffer
                self._hash_failure = error
            self._free.put(buffer)
