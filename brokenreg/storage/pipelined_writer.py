"""From a source to a file at full speed: one thread reads and writes, another hashes what it has written.

The loop is told now and then how far the file has come, and has nothing else to do with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Protocol

from brokenreg.concurrency import ThreadPool, shielded

_LANES = 8
"""Intakes at once."""

_BUFFER = 256 * 1024
"""Bytes; with more of them a processor's cache is of no use to whoever hashes what another has written."""

_BUFFERS = 8
_STEP = 4 * 1024 * 1024
"""Bytes after which the loop is told, if there is no pause."""

_PAUSE = 0.002
"""Seconds without a byte: what there is shall not wait any longer."""

_THREADS = ThreadPool("intake", 2 * _LANES)
_FREE = threading.BoundedSemaphore(_LANES)


class Source(Protocol):
    """Where bytes come from. A thread reads it; only `stop` is called by another."""

    def read_into(self, buffer: memoryview) -> int | None:
        """How many bytes came; 0 at the end, None if there are none yet."""

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes, or the end; False if there were none in time. None is as long as one has patience.

        What is raised once patience is at an end is up to the source.
        """

    def stop(self) -> None:
        """Make whoever reads or waits come back soon."""


@contextlib.contextmanager
def slot() -> Iterator[bool]:
    """Whether two threads are free for an intake, for as long as the block takes.

    Sources may be slow, and those that are shall not keep others waiting.
    """
    is_free = _FREE.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            _FREE.release()


class PipelinedWriter:
    """Feeds `write` and then `digest` with all of `source`; both block. Runs in a `lane`.

    `written` is called on the loop.
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
        self._untold = 0
        self._failure: Exception | None = None
        self._hash_failure: Exception | None = None

    async def run(self) -> None:
        """Run to the end of the source. Raise what the source, `write` or `digest` raised.

        If the source or `write` fails, the bytes written before that are hashed.
        """
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(_BUFFER)))
        hashing, reading = _THREADS.run(self._hash_all), _THREADS.run(self._read_all)
        both = asyncio.gather(reading, hashing, return_exceptions=True)
        try:
            read_failure, _ = await shielded(both, stop=self._source.stop)
        finally:
            self._written()
        failure = read_failure or self._hash_failure
        if failure is not None:
            raise failure

    def _read_all(self) -> None:
        try:
            while self._hash_failure is None and self._read_some(self._free.get()):
                pass
        finally:
            self._full.put(None)
        if self._failure is not None:
            raise self._failure

    def _read_some(self, buffer: memoryview) -> bool:
        """Fill a buffer, as far as that goes without a pause; whether there may be more."""
        count, is_open = 0, True
        while count < len(buffer) and is_open:
            try:
                came = self._source.read_into(buffer[count:])
                if came is not None:
                    count, is_open = count + came, came > 0
                elif not self._source.wait(_PAUSE):
                    if count:
                        break
                    self._tell()
                    self._source.wait(None)
            except Exception as error:  # noqa: BLE001 - raised once what came before it is kept
                self._failure, is_open = error, False
        if count:
            self._take(buffer, count)
        return is_open

    def _take(self, buffer: memoryview, count: int) -> None:
        self._write(buffer[:count])
        self._full.put((buffer, count))
        self._untold += count
        if self._untold >= _STEP:
            self._tell()

    def _tell(self) -> None:
        if self._untold:
            self._untold = 0
            self._loop.call_soon_threadsafe(self._written)

    def _hash_all(self) -> None:
        while (filled := self._full.get()) is not None:
            buffer, count = filled
            try:
                self._digest(buffer[:count])
            except Exception as error:  # noqa: BLE001 - raised by `run`; whoever reads waits for the buffer
                self._hash_failure = error
            self._free.put(buffer)
