"""The pipelined writer writes and hashes all bytes of a source, at any pace and for any kind of end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import hashlib
import threading
import weakref
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.bulk.pipeline import PipelinedWriter, writer_slot


class Script:
    """A source of `parts`: bytes, None for a pause, or an exception to raise."""

    def __init__(self, *parts: bytes | Exception | None) -> None:
        self._parts = list(parts)
        self.waits = 0
        self.stopped = threading.Event()

    def read_into(self, buffer: memoryview) -> int | None:
        if not self._parts:
            return 0
        part = self._parts.pop(0)
        if isinstance(part, Exception):
            raise part
        if part is None:
            return None
        count = min(len(part), len(buffer))
        buffer[:count] = part[:count]
        if part[count:]:
            self._parts.insert(0, part[count:])
        return count

    def wait(self, seconds: float | None) -> bool:
        self.waits += 1
        return seconds is None

    def stop(self) -> None:
        self.stopped.set()


class Silent(Script):
    """A source that returns its parts, and then nothing until it is stopped."""

    def read_into(self, buffer: memoryview) -> int | None:
        return super().read_into(buffer) if self._parts else 0 if self.stopped.is_set() else None

    def wait(self, seconds: float | None) -> bool:
        return self.stopped.wait(seconds)


class Sink:
    """Collects written and hashed bytes, up to `room`."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.file = bytearray()
        self.hash = hashlib.sha256()
        self.told: list[int] = []
        self._room = room

    def write(self, data: memoryview) -> None:
        if len(self.file) + len(data) > self._room:
            raise OSError(errno.ENOSPC, "full")
        self.file += data

    def take(self, source: Script) -> PipelinedWriter:
        return PipelinedWriter(source, self.write, self.hash.update, lambda: self.told.append(len(self.file)))

    @property
    def is_hashed(self) -> bool:
        return self.hash.digest() == hashlib.sha256(self.file).digest()


PARTS = st.lists(st.none() | st.binary(min_size=1, max_size=100) | st.just(bytes(300_000)), max_size=30)


@given(PARTS)
async def test_all_bytes_are_written_and_hashed(parts: list[bytes | None]) -> None:
    sink = Sink()
    await sink.take(Script(*parts)).run()
    assert sink.file == b"".join(part for part in parts if part)
    assert sink.is_hashed
    assert sink.told == sorted(sink.told)
    assert sink.told[-1] == len(sink.file)


@pytest.mark.slow
async def test_more_bytes_than_all_buffers_hold() -> None:
    sink = Sink()
    content = bytes(range(256)) * (40 << 12)
    await sink.take(Script(content)).run()
    assert sink.file == content
    assert sink.is_hashed
    assert len(sink.told) < 20, "the loop has other things to do"


async def test_bytes_before_a_failure_of_the_source_are_kept() -> None:
    sink = Sink()
    with pytest.raises(ConnectionResetError):
        await sink.take(Script(b"a" * 300_000, b"bc", ConnectionResetError())).run()
    assert sink.file == b"a" * 300_000 + b"bc"
    assert sink.is_hashed


async def test_a_failure_frees_its_buffers() -> None:
    class Broken(Script):
        def read_into(self, buffer: memoryview) -> int | None:
            raise OSError("gone")

    sink = Sink()
    writer = PipelinedWriter(Broken(), sink.write, sink.hash.update, lambda: None)
    kept = weakref.ref(writer)
    gc.disable()
    try:
        with contextlib.suppress(OSError):
            await writer.run()
        del writer
        async with asyncio.timeout(5):
            while kept() is not None:  # noqa: ASYNC110 - the threads let go of it a moment later
                await asyncio.sleep(0.001)
    finally:
        gc.enable()


async def test_a_full_disk() -> None:
    sink = Sink(room=600_000)
    with pytest.raises(OSError, match="full"):
        await sink.take(Script(bytes(5_000_000))).run()
    assert 300_000 < len(sink.file) <= 600_000
    assert sink.is_hashed


async def test_progress_is_reported_before_a_long_wait() -> None:
    told = asyncio.Event()
    sink = Sink()
    source = Silent(b"early")
    intake = PipelinedWriter(source, sink.write, sink.hash.update, told.set)
    running = asyncio.create_task(intake.run())
    await asyncio.wait_for(told.wait(), 5)
    assert sink.file == b"early"
    source.stop()
    await running


async def test_cancelled() -> None:
    sink = Sink()
    source = Silent(b"early")
    told = asyncio.Event()
    running = asyncio.create_task(PipelinedWriter(source, sink.write, sink.hash.update, told.set).run())
    await asyncio.wait_for(told.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert source.stopped.is_set()
    assert sink.is_hashed


def test_slots_are_limited_and_freed() -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(writer_slot()) for _ in range(20)]
        assert taken == sorted(taken, reverse=True)
        assert taken[0]
        assert not taken[-1]
    with writer_slot() as is_free:
        assert is_free


async def test_an_error_of_the_hash_ends_the_writer() -> None:
    """Otherwise the reader would wait forever for a free buffer."""

    def fail(_: memoryview) -> None:
        raise MemoryError

    source = Script(*[bytes(256 * 1024)] * 40)
    with writer_slot(), pytest.raises(MemoryError):
        async with asyncio.timeout(5):
            await PipelinedWriter(source, lambda _: None, fail, lambda: None).run()
