"""Writes content while more of it arrives: one thread reads a source and writes, another hashes.

The event loop is only notified of the progress.
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
"""Size of a buffer in bytes. It is small so that the bytes are still in the cache when they are hashed."""

_BUFFERS = 8
_STEP = 4 * 1024 * 1024
"""Number of bytes after which the event loop is notified, if the source does not pause."""

_PAUSE = 0.002
"""Seconds without new bytes after which a partly filled buffer is written."""

_THREADS = ThreadPool("writers", 2 * _SLOTS)
_FREE_SLOTS = threading.BoundedSemaphore(_SLOTS)


class Source(Protocol):
    """A source of bytes. One thread reads it. Only `stop` is called by another thread."""

    def read_into(self, buffer: memoryview) -> int | None:
        """Read available bytes. Return their number, 0 at the end, or None if none are available yet."""

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes or the end. Return False if neither comes within `seconds`.

        With None, wait as long as the source allows, and then raise an exception of the source.
        """

    def stop(self) -> None:
        """Make `read_into` or `wait` return soon."""


@contextlib.contextmanager
def writer_slot() -> Iterator[bool]:
    """Reserve the threads of a pipelined writer within the block. Yield False if none are free.

    There is no waiting for a slot, because slow sources keep theirs for a long time.
    """
    is_free = _FREE_SLOTS.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _FREE_SLOTS.release()


class PipelinedWriter:
    """Calls `write` and then `digest` with all bytes of `source`. Use it in a `writer_slot`.

    Both run in threads and may block. `written` is called on the event loop when more was written.
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
        """Write all bytes of the source. Raise the exception of the source, `write` or `digest`.

        If the source or `write` fails, the bytes that were already written are hashed.
        """
        failure = await self._run_threads()
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # breaks the reference cycle between the exception and this frame

    async def _run_threads(self) -> BaseException | None:
        """Write all bytes, and return the exception of the source, `write` or `digest`, or None."""
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
        """Fill a buffer until it is full or the source pauses. Return whether there may be more bytes."""
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
